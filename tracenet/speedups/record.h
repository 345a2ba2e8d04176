/* Recording: NumPy functions and operators of one and two operands, and what they write. */

/* One NumPy function or operator of one or two operands, and what it does while a trace runs. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *rule;     /* what the tape says was done */
    PyObject *function; /* what computes the data */
    PyObject *slow;     /* what knows every other case */
    PyObject *allowed;  /* the keywords that are settings, for a function of one operand */
    PyObject *dict, *weak;
    int swapped;        /* whether the operator is the reflected one, as in `2 - x` */
    int numbers;        /* whether the one operand may be a number, as in `-x` */
    int checked;        /* whether a result may be none that goes on being traced: a method */
} Recorder;

/* The tape that an operand can be recorded on in this way; NULL where it cannot. Borrowed. */
static PyObject *
tape_of(PyObject *x)
{
    if (!Py_IS_TYPE(x, Array)) {
        return NULL;
    }
    PyObject *tape = FIELD(x, TAPE);
    if (tape == NULL || !Py_IS_TYPE(tape, Tape) || FIELD(tape, OPEN) != Py_True
        || FIELD(x, DATA) == NULL || FIELD(x, ID) == NULL) {
        return NULL;
    }
    PyObject *values = FIELD(tape, VALUES), *ops = FIELD(tape, OPS); /* not those that keep less */
    if (values == NULL || !PyList_CheckExact(values) || ops == NULL || !PyList_CheckExact(ops)
        || FIELD(tape, CALL) == NULL) {
        return NULL;
    }
    return tape;
}

/* Whether an operand is an array of that tape or a number; anything else takes the slow way. */
static int
suits(PyObject *x, PyObject *tape)
{
    return Py_IS_TYPE(x, Array) ? tape_of(x) == tape : is_number(x);
}

static PyObject *
data_of(PyObject *x)
{
    return Py_IS_TYPE(x, Array) ? FIELD(x, DATA) : x;
}

/* Whether nothing was written to an array's memory since it was last looked at; then `*buffer` is
 * that of an array which shares memory, borrowed. */
static int
is_fresh(PyObject *x, PyObject **buffer)
{
    PyObject *alias = FIELD(x, ALIAS);
    *buffer = NULL;
    if (alias == Py_None) {
        return 1;
    }
    if (alias == NULL || !Py_IS_TYPE(alias, Alias)) {
        return 0;
    }
    PyObject *shared = FIELD(alias, BUFFER), *seen = FIELD(alias, SEEN_THEN);
    if (shared == NULL || !Py_IS_TYPE(shared, Buffer) || seen == NULL || !PyLong_CheckExact(seen)) {
        return 0;
    }
    PyObject *now = FIELD(shared, GENERATION);
    *buffer = shared;
    return now == seen || (now != NULL && PyLong_CheckExact(now)
                           && PyObject_RichCompareBool(now, seen, Py_EQ) == 1);
}

/* The number of the value that a traced array is now, which is computed with: see memory.read. */
static PyObject *
number_of(PyObject *x, PyObject *tape)
{
    PyObject *buffer, *id = FIELD(x, ID);
    if (id == NULL || !is_fresh(x, &buffer)) {
        PyObject *both[] = {tape, x};
        return PyObject_Vectorcall(read_, both, 2, NULL);
    }
    if (buffer != NULL) {
        PyObject *live = field(buffer, LIVE, &PyDict_Type);
        int there = live == NULL ? -1 : PyDict_Contains(live, id);
        if (there < 0 || (there && PyDict_SetItem(live, id, Py_True) < 0)) {
            return NULL;
        }
    }
    return Py_NewRef(id);
}

/* The number of the value that an operand is now. A plain number becomes a new value. */
static PyObject *
value_of(PyObject *x, PyObject *tape)
{
    if (Py_IS_TYPE(x, Array)) {
        return number_of(x, tape);
    }
    PyObject *values = field(tape, VALUES, &PyList_Type);
    if (values == NULL) {
        return NULL;
    }
    Py_ssize_t id = PyList_GET_SIZE(values);
    return PyList_Append(values, x) < 0 ? NULL : PyLong_FromSsize_t(id);
}

static int enter_call(PyObject *tape, PyFrameObject *frame);

/* Sees to it that the tape stands at the call that the program is in; that frame, borrowed. */
static PyFrameObject *
at_frame(PyObject *tape)
{
    PyFrameObject *frame = PyEval_GetFrame(); /* compiled code has none: it is the program's own */
    if (frame == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "an operation outside of any Python function");
        return NULL;
    }
    return (PyObject *)frame == FIELD(tape, FRAME) || enter_call(tape, frame) == 0 ? frame : NULL;
}

/* A traced array; takes over nothing. */
static PyObject *
new_array(PyObject *data, PyObject *id, PyObject *tape)
{
    PyObject *made = PyType_GenericAlloc(Array, 0);
    if (made != NULL) {
        FIELD(made, DATA) = Py_NewRef(data);
        FIELD(made, ID) = Py_NewRef(id);
        FIELD(made, TAPE) = Py_NewRef(tape);
        FIELD(made, ALIAS) = Py_NewRef(Py_None);
    }
    return made;
}

/* Writes one operation of a call; the traced result. Takes over `ins` and `data`. */
static PyObject *
recorded(PyObject *tape, PyObject *rule, PyObject *ins, PyObject *settings, PyObject *data,
         PyObject *call, PyFrameObject *frame)
{
    PyObject *values = field(tape, VALUES, &PyList_Type), *ops = field(tape, OPS, &PyList_Type);
    PyObject *op = NULL, *result = NULL;
    if (values == NULL || ops == NULL) {
        Py_XDECREF(ins);
        Py_DECREF(data);
        return NULL;
    }
    PyObject *out = PyLong_FromSsize_t(PyList_GET_SIZE(values));
    PyObject *at = PyLong_FromLong(PyFrame_GetLasti(frame));
    if (out != NULL && at != NULL && ins != NULL && PyList_Append(values, data) == 0) {
        op = PyTuple_Pack(6, rule, out, ins, settings, call, at);
        PyObject_GC_UnTrack(ins); /* numbers: the collector need not look at them again and again */
        if (op != NULL && settings == no_settings) {
            PyObject_GC_UnTrack(op);
        }
    }
    if (op != NULL && PyList_Append(ops, op) == 0) {
        result = new_array(data, out, tape);
    }
    Py_XDECREF(op);
    Py_XDECREF(out);
    Py_XDECREF(at);
    Py_XDECREF(ins);
    Py_DECREF(data);
    return result;
}

/* Whether data are an array of the one dtype that nearly all have. */
static int
is_float64(PyObject *data)
{
    PyObject *dtype = Py_IS_TYPE(data, Ndarray) ? PyObject_GetAttr(data, s_dtype) : NULL;
    Py_XDECREF(dtype);
    return dtype != NULL && dtype == float64;
}

/* An operator, or a function of two operands. `first` is the one that is noted first.
 * What NumPy runs, as a hook for warnings, may do anything: what is used afterwards is held. */
static PyObject *
of_two(Recorder *self, PyObject *tape, PyObject *first, PyObject *second)
{
    PyObject *left = self->swapped ? second : first, *right = self->swapped ? first : second;
    PyObject *both[] = {Py_NewRef(data_of(left)), Py_NewRef(data_of(right))};
    PyObject *data = PyObject_Vectorcall(self->function, both, 2, NULL);
    Py_DECREF(both[0]);
    Py_DECREF(both[1]);
    if (data == NULL || FIELD(tape, OPEN) != Py_True) { /* the trace has ended meanwhile */
        return data;
    }
    PyFrameObject *frame = at_frame(tape);
    /* the call now: a finalizer that computes may move the tape whenever a container is made */
    PyObject *call = frame == NULL ? NULL : Py_XNewRef(field(tape, CALL, NULL));
    PyObject *x = call == NULL ? NULL : value_of(first, tape);
    PyObject *y = x == NULL ? NULL : value_of(second, tape);
    PyObject *result = NULL;
    if (y != NULL) {
        PyObject *ins = self->swapped ? PyTuple_Pack(2, y, x) : PyTuple_Pack(2, x, y);
        result = recorded(tape, self->rule, ins, no_settings, data, call, frame);
    }
    else {
        Py_DECREF(data);
    }
    Py_XDECREF(call);
    Py_XDECREF(x);
    Py_XDECREF(y);
    return result;
}

/* Of an operator the first argument is an Array, whose class it was found in. */
static PyObject *
call_two(PyObject *callable, PyObject *const *args, size_t count, PyObject *names)
{
    Recorder *self = (Recorder *)callable;
    if (PyVectorcall_NARGS(count) == 2 && names == NULL) {
        PyObject *tape = tape_of(Py_IS_TYPE(args[0], Array) ? args[0] : args[1]);
        if (tape != NULL && suits(args[0], tape) && suits(args[1], tape)) {
            Py_INCREF(tape);
            PyObject *result = of_two(self, tape, args[0], args[1]);
            Py_DECREF(tape);
            return result;
        }
    }
    return PyObject_Vectorcall(self->slow, args, count, names);
}

/* `x.dot(y)` of two arrays of floats: what it gives is one, or a float. */
static PyObject *
call_product(PyObject *callable, PyObject *const *args, size_t count, PyObject *names)
{
    Recorder *self = (Recorder *)callable;
    if (PyVectorcall_NARGS(count) == 2 && names == NULL) {
        PyObject *tape = tape_of(args[0]);
        if (tape != NULL && tape_of(args[1]) == tape && is_float64(FIELD(args[0], DATA))
            && is_float64(FIELD(args[1], DATA))) {
            Py_INCREF(tape);
            PyObject *result = of_two(self, tape, args[0], args[1]);
            Py_DECREF(tape);
            return result;
        }
    }
    return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->slow, args, count, names);
}

/* The keywords as a dict, if all are settings with plain values; else NULL, without an error. */
static PyObject *
settings_of(Recorder *self, PyObject *names, PyObject *const *given)
{
    PyObject *settings = PyDict_New();
    for (Py_ssize_t i = 0; settings != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i), *value = given[i];
        int plain = PyLong_CheckExact(value) || PyBool_Check(value) || value == Py_None
                    || PyUnicode_CheckExact(value);
        int allowed = plain ? PySet_Contains(self->allowed, name) : 0;
        if (allowed != 1 || PyDict_SetItem(settings, name, value) < 0) {
            Py_CLEAR(settings);
        }
    }
    return settings;
}

/* Whether a result goes on being traced: see operators._carries. */
static int
carries(PyObject *data)
{
    return Py_IS_TYPE(data, Ndarray) ? taken_letter(data) != 0
                                     : PyFloat_Check(data) || PyObject_TypeCheck(data, Inexact);
}

static PyObject *
call_one(PyObject *callable, PyObject *const *args, size_t count, PyObject *names)
{
    Recorder *self = (Recorder *)callable;
    PyObject *tape = PyVectorcall_NARGS(count) == 1 ? tape_of(args[0]) : NULL;
    Py_ssize_t keywords = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    /* what is no array, as the sum of a sum, takes the long way: `ndarray.sum` is for arrays */
    if (tape == NULL || keywords > (self->allowed == NULL ? 0 : 4)
        || !(self->numbers || Py_IS_TYPE(FIELD(args[0], DATA), Ndarray))) {
        return PyObject_Vectorcall(self->slow, args, count, names);
    }
    PyObject *settings = keywords ? settings_of(self, names, args + 1) : Py_NewRef(no_settings);
    if (settings == NULL) {
        return PyErr_Occurred() ? NULL : PyObject_Vectorcall(self->slow, args, count, names);
    }
    Py_INCREF(tape);
    PyObject *passed[5] = {Py_NewRef(FIELD(args[0], DATA))};
    for (Py_ssize_t i = 0; i < keywords; i++) {
        passed[i + 1] = args[i + 1];
    }
    PyObject *result = NULL;
    PyObject *data = PyObject_Vectorcall(self->function, passed, 1, names);
    Py_DECREF(passed[0]);
    if (data == NULL || FIELD(tape, OPEN) != Py_True || (self->checked && !carries(data))) {
        Py_DECREF(settings);
        Py_DECREF(tape);
        return data; /* an error, the trace has ended meanwhile, or an integer, as of argmax */
    }
    PyFrameObject *frame = at_frame(tape);
    PyObject *call = frame == NULL ? NULL : Py_XNewRef(field(tape, CALL, NULL));
    PyObject *x = call == NULL ? NULL : value_of(args[0], tape);
    if (x != NULL) {
        PyObject *ins = PyTuple_Pack(1, x);
        result = recorded(tape, self->rule, ins, settings, data, call, frame);
        Py_DECREF(x);
    }
    else {
        Py_DECREF(data);
    }
    Py_XDECREF(call);
    Py_DECREF(settings);
    Py_DECREF(tape);
    return result;
}

static int
recorder_traverse(PyObject *object, visitproc visit, void *arg)
{
    Recorder *self = (Recorder *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->rule);
    Py_VISIT(self->function);
    Py_VISIT(self->slow);
    Py_VISIT(self->allowed);
    Py_VISIT(self->dict);
    return 0;
}

static int
recorder_clear(PyObject *object)
{
    Py_CLEAR(((Recorder *)object)->dict); /* the rest is needed as long as it can be called */
    return 0;
}

static void
recorder_dealloc(PyObject *object)
{
    Recorder *self = (Recorder *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->weak != NULL) {
        PyObject_ClearWeakRefs(object);
    }
    recorder_clear(object);
    Py_CLEAR(self->rule);
    Py_CLEAR(self->function);
    Py_CLEAR(self->slow);
    Py_CLEAR(self->allowed);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *
recorder_self(PyObject *self, PyObject *ignored)
{
    return Py_NewRef(self);
}

static PyObject *
operator_bound(PyObject *self, PyObject *instance, PyObject *owner)
{
    return instance == NULL || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance);
}

static PyMethodDef recorder_methods[] = {
    {"__copy__", recorder_self, METH_NOARGS, NULL}, /* as functions: what is copied is the name */
    {"__deepcopy__", recorder_self, METH_O, NULL},
    {NULL},
};

static PyMemberDef recorder_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(Recorder, dict), READONLY},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Recorder, weak), READONLY},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Recorder, vectorcall), READONLY},
    {NULL},
};

static PyGetSetDef recorder_attributes[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict},
    {NULL},
};

#define RECORDER                                                                                   \
    {Py_tp_traverse, recorder_traverse}, {Py_tp_clear, recorder_clear},                            \
    {Py_tp_dealloc, recorder_dealloc}, {Py_tp_call, PyVectorcall_Call},                            \
    {Py_tp_methods, recorder_methods}, {Py_tp_members, recorder_members},                          \
    {Py_tp_getset, recorder_attributes}

static PyType_Slot function_slots[] = {RECORDER, {0, NULL}};
static PyType_Slot operator_slots[] = {RECORDER, {Py_tp_descr_get, operator_bound}, {0, NULL}};

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL                \
               | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Spec function_spec = {
    "tracenet._speedups.Function", sizeof(Recorder), 0, FLAGS, function_slots};
static PyType_Spec operator_spec = {
    "tracenet._speedups.Operator", sizeof(Recorder), 0, FLAGS | Py_TPFLAGS_METHOD_DESCRIPTOR,
    operator_slots};
static PyTypeObject *Function, *Operator;

static Recorder *
recorder(PyTypeObject *type, vectorcallfunc how, PyObject *rule, PyObject *function, PyObject *slow,
         PyObject *allowed)
{
    Recorder *made = PyObject_GC_New(Recorder, type);
    if (made == NULL) {
        return NULL;
    }
    made->vectorcall = how;
    made->rule = Py_NewRef(rule);
    made->function = Py_NewRef(function);
    made->slow = Py_NewRef(slow);
    made->allowed = Py_XNewRef(allowed);
    made->dict = NULL;
    made->weak = NULL;
    made->swapped = made->numbers = made->checked = 0;
    PyObject_GC_Track(made);
    return made;
}

static PyObject *
make_operator(PyObject *module, PyObject *args)
{
    PyObject *rule, *function, *slow;
    int operands, swapped;
    if (!PyArg_ParseTuple(args, "OOOip:operator", &rule, &function, &slow, &operands, &swapped)) {
        return NULL;
    }
    Recorder *made = recorder(Operator, operands == 1 ? call_one : call_two, rule, function, slow,
                              NULL);
    if (made != NULL) {
        made->swapped = swapped;
        made->numbers = 1;
    }
    return (PyObject *)made;
}

static PyObject *
make_method(PyObject *module, PyObject *args)
{
    PyObject *rule, *function, *slow, *allowed;
    int operands;
    if (!PyArg_ParseTuple(args, "OOOiO!:method", &rule, &function, &slow, &operands,
                          &PyFrozenSet_Type, &allowed)) {
        return NULL;
    }
    Recorder *made = recorder(Operator, operands == 1 ? call_one : call_product, rule, function,
                              slow, allowed);
    if (made != NULL) {
        made->checked = 1;
    }
    return (PyObject *)made;
}

static PyObject *
make_function(PyObject *module, PyObject *args)
{
    PyObject *rule, *function, *slow, *allowed;
    int operands;
    if (!PyArg_ParseTuple(args, "OOOiO!:function", &rule, &function, &slow, &operands,
                          &PyFrozenSet_Type, &allowed)) {
        return NULL;
    }
    return (PyObject *)recorder(Function, operands == 1 ? call_one : call_two, rule, function, slow,
                                allowed);
}
