/* What every trace spends its time in, compiled.
 *
 * Nothing here is needed: each function does the common case of what a Python function does, which
 * knows every case and writes the same records. The others it leaves to that, by calling it or by
 * the answer None; or the Python code asks only where the case is the common one. Where no compiler
 * is at hand when tracenet is installed, the Python functions are all there is.
 *
 * Arrays, tapes and rules are the Python classes; their fields are reached where `__slots__` put
 * them. NumPy is used as any Python code uses it, so that nothing depends on its headers.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#ifdef Py_GIL_DISABLED
#error "nothing here is synchronised: without the GIL the Python functions run"
#endif
#include <structmember.h>
#include <stddef.h>

#define VERSION 3 /* compiled.VERSION: another one is not used */

#define FIELD(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* What `prepare` is told, by the names that Python has for it: see THINGS. */
static PyTypeObject *Array, *Alias, *Buffer, *Tape, *Rule, *Leaf, *Call, *Known, *Ndarray, *Float64,
    *Floating, *Inexact, *Entrance, *Marked, *Deque, *Given, *Ref, *Note, *Notes;
static PyObject *no_settings, *read_, *version_, *role_, *state_, *sum_, *absent, *float64, *known_,
    *known_of_, *owner_, *through_, *fit_, *mirror_, *add_;
static Py_ssize_t copied_bytes, many;

/* Where fields of those types are: see FIELDS. */
static Py_ssize_t DATA, ID, TAPE, ALIAS, BUFFER, SEEN_THEN, GENERATION, LIVE;
static Py_ssize_t OPEN, FRAME, CALL, CALLS, VALUES, OPS, LEAVES, STACK, PLACE, NOTES;
static Py_ssize_t BACKWARD, DIFFERENTIABLE, ENTRANCE_TAPE, ARRAYS, SEEN, HELD, PUT_BACK;
static Py_ssize_t MARKED_DATA, MARKED_ROLE, MARKED_NAME, GIVEN_ID, GIVEN_DATA, REF_ID, OF;
static Py_ssize_t NOTE_CODE, MODULE, ARGUMENTS, FINAL, END;

static PyObject *s_copy, *s_given, *s_shape, *s_dtype, *s_kind, *s_ndim, *s_nbytes, *s_parameter,
    *s_input, *s_enter_any, *s_item, *s_odd, *s_meet, *s_drop, *s_note_any, *minus_one;

/* ------------------------------------------------------------------ recording */

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

static int
is_number(PyObject *x)
{
    return PyFloat_CheckExact(x) || PyLong_CheckExact(x);
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

/* A field of an object, borrowed; NULL with an error where it was deleted. */
static PyObject *
field(PyObject *object, Py_ssize_t offset, PyTypeObject *type)
{
    PyObject *value = FIELD(object, offset);
    if (value == NULL || (type != NULL && !Py_IS_TYPE(value, type))) {
        PyErr_Format(PyExc_AttributeError, "a %s has lost a field", Py_TYPE(object)->tp_name);
        return NULL;
    }
    return value;
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

/* Writes one operation; the traced result. Takes over `ins` and `data`. */
static PyObject *
recorded(PyObject *tape, PyObject *rule, PyObject *ins, PyObject *settings, PyObject *data,
         PyFrameObject *frame)
{
    PyObject *values = field(tape, VALUES, &PyList_Type), *ops = field(tape, OPS, &PyList_Type);
    PyObject *call = field(tape, CALL, NULL), *op = NULL, *result = NULL;
    if (values == NULL || ops == NULL || call == NULL) {
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
    PyObject *x = frame == NULL ? NULL : value_of(first, tape);
    PyObject *y = x == NULL ? NULL : value_of(second, tape);
    PyObject *result = NULL;
    if (y != NULL) {
        PyObject *ins = self->swapped ? PyTuple_Pack(2, y, x) : PyTuple_Pack(2, x, y);
        result = recorded(tape, self->rule, ins, no_settings, data, frame);
    }
    else {
        Py_DECREF(data);
    }
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

static Py_UCS4 taken_letter(PyObject *data);

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
    PyObject *x = frame == NULL ? NULL : value_of(args[0], tape);
    if (x != NULL) {
        PyObject *ins = PyTuple_Pack(1, x);
        result = recorded(tape, self->rule, ins, settings, data, frame);
        Py_DECREF(x);
    }
    else {
        Py_XDECREF(data);
    }
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

/* ------------------------------------------------------------------ coming in and going out */

/* The letter of an array's kind of numbers, `f` or `i`; 0 with an error. */
static Py_UCS4
kind_of(PyObject *data)
{
    PyObject *dtype = PyObject_GetAttr(data, s_dtype);
    if (dtype == float64) {
        Py_DECREF(dtype);
        return 'f';
    }
    PyObject *kind = dtype == NULL ? NULL : PyObject_GetAttr(dtype, s_kind);
    Py_UCS4 letter = kind != NULL && PyUnicode_Check(kind) && PyUnicode_GET_LENGTH(kind) == 1
                         ? PyUnicode_READ_CHAR(kind, 0)
                         : 0;
    if (letter == 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "an array without a kind of numbers");
    }
    Py_XDECREF(dtype);
    Py_XDECREF(kind);
    return letter;
}

static Py_ssize_t
bytes_of(PyObject *data)
{
    PyObject *bytes = PyObject_GetAttr(data, s_nbytes);
    Py_ssize_t size = bytes == NULL ? -1 : PyLong_AsSsize_t(bytes);
    Py_XDECREF(bytes);
    return size;
}

/* Takes in a value that no operation made; its number. As Tape.given, which sees to large ones. */
static PyObject *
given(PyObject *tape, PyObject *data)
{
    PyObject *values = FIELD(tape, VALUES);
    Py_ssize_t size = bytes_of(data);
    if (size < 0) {
        return NULL;
    }
    if (size > copied_bytes || values == NULL || !PyList_CheckExact(values)) {
        return PyObject_CallMethodOneArg(tape, s_given, data);
    }
    PyObject *copy = PyObject_CallMethodNoArgs(data, s_copy);
    PyObject *id = copy == NULL ? NULL : PyLong_FromSsize_t(PyList_GET_SIZE(values));
    if (id != NULL && PyList_Append(values, copy) < 0) {
        Py_CLEAR(id);
    }
    Py_XDECREF(copy);
    return id;
}

/* What an array is that came in; borrows everything. */
static PyObject *
new_leaf(PyObject *id, PyObject *role, PyObject *name, PyObject *path)
{
    PyObject *leaf = Leaf->tp_alloc(Leaf, 6);
    if (leaf != NULL) {
        PyObject *fields[] = {id, role, name, path, minus_one, minus_one};
        for (Py_ssize_t i = 0; i < 6; i++) {
            PyTuple_SET_ITEM(leaf, i, Py_NewRef(fields[i]));
        }
    }
    return leaf;
}

/* What an array is by its name: see roles.role. */
static PyObject *
role_of(PyObject *data, PyObject *name, PyObject *contained, Py_UCS4 letter)
{
    PyObject *dims = PyObject_GetAttr(data, s_ndim);
    if (dims == NULL) {
        return NULL;
    }
    PyObject *floating = letter == 'f' || letter == 'c' ? Py_True : Py_False;
    PyObject *asked[] = {name, contained, floating, PyObject_IsTrue(dims) ? Py_False : Py_True};
    PyObject *role = PyObject_Vectorcall(role_, asked, 4, NULL);
    Py_DECREF(dims);
    return role;
}

/* The traced twin of an array that was found at `path`, as Entrance.array makes it. `said` is the
 * role that it was given, or None. All borrowed. */
static PyObject *
twin_of(PyObject *entrance, PyObject *data, PyObject *name, PyObject *path, PyObject *contained,
        PyObject *said, Py_UCS4 letter)
{
    PyObject *tape = FIELD(entrance, ENTRANCE_TAPE), *seen = FIELD(entrance, SEEN);
    PyObject *address = PyLong_FromVoidPtr(data);
    PyObject *twin = address == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(seen, address));
    if (address == NULL || twin != NULL || PyErr_Occurred()) {
        Py_XDECREF(address);
        return twin;
    }
    PyObject *id = given(tape, data), *role = NULL, *leaf = NULL;
    if (id != NULL) {
        role = said != Py_None ? Py_NewRef(said) : role_of(data, name, contained, letter);
    }
    if (role != NULL) {
        leaf = new_leaf(id, role, name, path);
        twin = leaf == NULL ? NULL : new_array(data, id, tape);
    }
    if (twin != NULL
        && (PyDict_SetItem(FIELD(tape, LEAVES), id, leaf) < 0
            || PyDict_SetItem(seen, address, twin) < 0
            || PyList_Append(FIELD(entrance, HELD), data) < 0)) {
        Py_CLEAR(twin);
    }
    if (twin != NULL && FIELD(entrance, ARRAYS) != Py_True) {
        Py_SETREF(FIELD(entrance, ARRAYS), Py_NewRef(Py_True));
    }
    Py_DECREF(address);
    Py_XDECREF(id);
    Py_XDECREF(role);
    Py_XDECREF(leaf);
    return twin;
}

/* Whether a function got so many arguments, the first two of these types where one is given. */
static int
are(const char *name, PyObject *const *args, Py_ssize_t count, Py_ssize_t expected,
    PyTypeObject *first, PyTypeObject *second)
{
    if (count != expected) {
        PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, got %zd", name, expected, count);
        return 0;
    }
    PyTypeObject *types[] = {first, second};
    for (int i = 0; i < 2; i++) {
        if (types[i] != NULL && !Py_IS_TYPE(args[i], types[i])) {
            PyErr_Format(PyExc_TypeError, "%s takes a %s, got a %s", name, types[i]->tp_name,
                         Py_TYPE(args[i])->tp_name);
            return 0;
        }
    }
    return 1;
}

/* Whether `prepare` was told what is needed; else an error. */
static int
told(const char *name, void *needed)
{
    if (needed == NULL) {
        PyErr_Format(PyExc_RuntimeError, "prepare() was not told of %s", name);
    }
    return needed != NULL;
}

/* The letter of an array that is taken in, 0 for anything else; 0 with an error too. */
static Py_UCS4
taken_letter(PyObject *data)
{
    Py_UCS4 letter = Py_IS_TYPE(data, Ndarray) ? kind_of(data) : 0;
    return letter != 0 && letter < 128 && strchr("fciub", (int)letter) != NULL ? letter : 0;
}

/* Whether arrays can be taken in there; else an error. */
static int
can_take(PyObject *entrance)
{
    if (!told("Entrance", Entrance)) {
        return 0;
    }
    if (!Py_IS_TYPE(entrance, Entrance)) {
        PyErr_SetString(PyExc_TypeError, "arrays come in by an Entrance");
        return 0;
    }
    PyObject *tape = field(entrance, ENTRANCE_TAPE, Tape);
    return tape != NULL && field(tape, LEAVES, &PyDict_Type) != NULL
           && field(tape, VALUES, NULL) != NULL && field(entrance, SEEN, &PyDict_Type) != NULL
           && field(entrance, HELD, &PyList_Type) != NULL
           && field(entrance, PUT_BACK, &PyList_Type) != NULL
           && field(entrance, ARRAYS, NULL) != NULL;
}

/* The traced twin of one array; None where it is none that is traced. */
static PyObject *
twin(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!are("twin", args, count, 6, NULL, NULL)) {
        return NULL;
    }
    Py_UCS4 letter = can_take(args[0]) ? taken_letter(args[1]) : 0;
    if (letter == 0) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    return twin_of(args[0], args[1], args[2], args[3], args[4], args[5], letter);
}

static int
is_atom(PyObject *x)
{
    return is_number(x) || PyUnicode_CheckExact(x) || x == Py_None || PyBool_Check(x);
}

static int enter_items(PyObject *entrance, PyObject *dict, PyObject *name, PyObject *path);

/* What stands for anything that comes in while a trace runs: see Entrance.enter. */
static PyObject *
stand_in(PyObject *entrance, PyObject *x, PyObject *name, PyObject *path, PyObject *contained)
{
    if (is_atom(x)) {
        return Py_NewRef(x);
    }
    Py_UCS4 letter = taken_letter(x);
    if (letter != 0) {
        return twin_of(entrance, x, name, path, contained, Py_None, letter);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (Py_IS_TYPE(x, Marked)) { /* what is called may write to it: its fields are held */
        PyObject *data = Py_XNewRef(field(x, MARKED_DATA, NULL));
        PyObject *role = Py_XNewRef(data == NULL ? NULL : field(x, MARKED_ROLE, NULL));
        PyObject *own = Py_XNewRef(role == NULL ? NULL : field(x, MARKED_NAME, NULL));
        PyObject *found = NULL;
        if (own != NULL && (letter = taken_letter(data)) != 0) {
            int named = PyUnicode_Check(own) && PyUnicode_GET_LENGTH(own) > 0;
            found = twin_of(entrance, data, named ? own : name, path, contained, role, letter);
        }
        Py_XDECREF(data);
        Py_XDECREF(role);
        Py_XDECREF(own);
        if (found != NULL || PyErr_Occurred()) {
            return found;
        }
    }
    if (PyDict_CheckExact(x) && PyUnicode_CheckExact(name)) {
        return enter_items(entrance, x, name, path) < 0 ? NULL : Py_NewRef(x);
    }
    PyObject *passed[] = {entrance, x, name, path, contained};
    return PyObject_VectorcallMethod(s_enter_any, passed, 5, NULL);
}

/* Exchanges what one place of a dict holds. */
static int
enter_item(PyObject *entrance, PyObject *dict, PyObject *name, PyObject *path, PyObject *kept,
           PyObject *key, PyObject *held)
{
    if (!PyUnicode_CheckExact(key) || PyFloat_CheckExact(held)) {
        PyObject *passed[] = {entrance, dict, name, path, kept, key, held};
        PyObject *done = PyObject_VectorcallMethod(s_item, passed, 7, NULL);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    if (is_atom(held)) {
        return 0;
    }
    PyObject *place = PyTuple_Pack(2, path, key);
    PyObject *found = place == NULL ? NULL : stand_in(entrance, held, key, place, kept);
    int bad = found == NULL || (found != held && PyDict_SetItem(dict, key, found) < 0);
    Py_XDECREF(place);
    Py_XDECREF(found);
    return bad ? -1 : 0;
}

/* Exchanges what a dict holds, once: see Entrance._container. */
static int
enter_items(PyObject *entrance, PyObject *dict, PyObject *name, PyObject *path)
{
    PyObject *address = PyLong_FromVoidPtr(dict);
    int known = address == NULL ? -1 : PyDict_Contains(FIELD(entrance, SEEN), address);
    if (known != 0 || PyDict_SetItem(FIELD(entrance, SEEN), address, dict) < 0
        || PyList_Append(FIELD(entrance, HELD), dict) < 0
        || PyList_Append(FIELD(entrance, PUT_BACK), dict) < 0) {
        Py_XDECREF(address);
        return known == 1 ? 0 : -1;
    }
    Py_DECREF(address);
    PyObject *state = PyObject_CallOneArg(state_, name);
    if (state == NULL || Py_EnterRecursiveCall(" while the arrays of a dict were taken in")) {
        Py_XDECREF(state);
        return -1;
    }
    PyObject *items = PyDict_Items(dict); /* a copy: what is called may do anything */
    int collecting = PyGC_Disable();      /* much is made that stays, and no garbage */
    int bad = items == NULL;
    for (Py_ssize_t i = 0; !bad && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        bad = enter_item(entrance, dict, name, path, state == Py_True ? Py_None : Py_True,
                         PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) < 0;
    }
    Py_XDECREF(items);
    Py_DECREF(state);
    if (collecting) {
        PyGC_Enable();
    }
    Py_LeaveRecursiveCall();
    return bad ? -1 : 0;
}

static PyObject *
enter(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!are("enter", args, count, 5, NULL, NULL)) {
        return NULL;
    }
    return can_take(args[0]) ? stand_in(args[0], args[1], args[2], args[3], args[4]) : NULL;
}

/* Puts plain arrays back into a dict; `unwrap(item, how)` knows what else may be in it. */
static PyObject *
put_back(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!told("Array", Array) || !are("put_back", args, count, 3, &PyDict_Type, NULL)) {
        return NULL;
    }
    PyObject *dict = args[0], *items = PyDict_Items(dict);
    int bad = items == NULL;
    for (Py_ssize_t i = 0; !bad && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i), *plain = NULL;
        PyObject *key = PyTuple_GET_ITEM(pair, 0), *value = PyTuple_GET_ITEM(pair, 1);
        if (Py_IS_TYPE(value, Array) && FIELD(value, DATA) != NULL) {
            plain = Py_NewRef(FIELD(value, DATA));
        }
        else if (!is_atom(value)) {
            PyObject *both[] = {value, args[2]};
            bad = (plain = PyObject_Vectorcall(args[1], both, 2, NULL)) == NULL;
        }
        if (plain != NULL && plain != value) {
            bad = PyDict_SetItem(dict, key, plain) < 0;
        }
        Py_XDECREF(plain);
    }
    Py_XDECREF(items);
    if (bad) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ notes of calls */

static PyObject *note_of(PyObject *notes, PyObject *x, PyObject *depth);

/* A traced array as the number of the value that it is now. */
static PyObject *
new_ref(PyObject *x)
{
    PyObject *buffer, *id = FIELD(x, ID);
    id = id != NULL && is_fresh(x, &buffer) ? Py_NewRef(id) : PyObject_CallOneArg(version_, x);
    PyObject *ref = id == NULL ? NULL : PyType_GenericAlloc(Ref, 0);
    if (ref == NULL) {
        Py_XDECREF(id);
        return NULL;
    }
    FIELD(ref, REF_ID) = id;
    PyObject_GC_UnTrack(ref); /* it holds a number */
    return ref;
}

/* A container as `copy` makes it of each thing in it; NULL without an error for anything else. What
 * `copy` calls may do anything, so what it is given is held. */
typedef PyObject *(*Copier)(PyObject *, PyObject *, PyObject *);

static PyObject *
copied_dict(PyObject *x, Copier copy, PyObject *first, PyObject *last)
{
    PyObject *made = PyDict_New(), *key, *value;
    Py_ssize_t at = 0;
    while (made != NULL && PyDict_Next(x, &at, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        PyObject *new = copy(first, value, last);
        if (new == NULL || PyDict_SetItem(made, key, new) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(new);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    return made;
}

static PyObject *
copied_list(PyObject *x, Copier copy, PyObject *first, PyObject *last)
{
    PyObject *made = PyList_New(0);
    for (Py_ssize_t i = 0; made != NULL && i < PyList_GET_SIZE(x); i++) {
        PyObject *value = Py_NewRef(PyList_GET_ITEM(x, i)), *new = copy(first, value, last);
        if (new == NULL || PyList_Append(made, new) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(new);
        Py_DECREF(value);
    }
    return made;
}

static PyObject *
copied_tuple(PyObject *x, Copier copy, PyObject *first, PyObject *last)
{
    PyObject *made = PyTuple_New(PyTuple_GET_SIZE(x));
    for (Py_ssize_t i = 0; made != NULL && i < PyTuple_GET_SIZE(x); i++) {
        PyObject *new = copy(first, PyTuple_GET_ITEM(x, i), last);
        if (new == NULL) {
            Py_CLEAR(made);
        }
        else {
            PyTuple_SET_ITEM(made, i, new);
        }
    }
    return made;
}

static PyObject *
copied_container(PyObject *x, Copier copy, PyObject *first, PyObject *last)
{
    if (Py_EnterRecursiveCall(" while what a call was given was noted")) {
        return NULL;
    }
    PyObject *made = PyDict_CheckExact(x)    ? copied_dict(x, copy, first, last)
                     : PyList_CheckExact(x)  ? copied_list(x, copy, first, last)
                     : PyTuple_CheckExact(x) ? copied_tuple(x, copy, first, last)
                                             : NULL;
    Py_LeaveRecursiveCall();
    return made;
}

/* What is noted of anything: see notes.Notes._any. */
static PyObject *
note_of(PyObject *notes, PyObject *x, PyObject *depth)
{
    if (Py_IS_TYPE(x, Array)) {
        return new_ref(x);
    }
    if (is_atom(x) || Py_IS_TYPE(x, Ndarray) || PyFunction_Check(x) || PyModule_CheckExact(x)) {
        return Py_NewRef(x);
    }
    Py_ssize_t size = PyDict_CheckExact(x)    ? PyDict_GET_SIZE(x)
                      : PyList_CheckExact(x)  ? PyList_GET_SIZE(x)
                      : PyTuple_CheckExact(x) ? PyTuple_GET_SIZE(x)
                                              : PY_SSIZE_T_MAX;
    if (size <= many) {
        return copied_container(x, note_of, notes, depth);
    }
    PyObject *passed[] = {notes, x, depth};
    return PyObject_VectorcallMethod(s_note_any, passed, 3, NULL);
}

static PyObject *
note(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!told("Ref", Ref) || !are("note", args, count, 3, NULL, NULL)) {
        return NULL;
    }
    return note_of(args[0], args[1], args[2]);
}

/* The variables of a frame, in a dict: for a module that is its own. */
static PyObject *
variables_of(PyFrameObject *frame)
{
    PyObject *found = PyFrame_GetLocals(frame);
    if (found == NULL || PyDict_CheckExact(found)) {
        return found;
    }
    PyObject *made = PyDict_New();
    if (made != NULL && PyDict_Update(made, found) < 0) {
        Py_CLEAR(made);
    }
    Py_DECREF(found);
    return made;
}

/* Notes that a call has begun: see notes.Notes.began. */
static int
began(PyObject *notes, PyObject *call, PyFrameObject *frame, PyObject *known)
{
    PyObject *names = PyTuple_GET_ITEM(known, 1), *of = field(notes, OF, &PyDict_Type);
    PyObject *now = of == NULL ? NULL : variables_of(frame), *depth = NULL, *made = NULL;
    PyObject *args = now == NULL ? NULL : PyDict_New();
    int bad = args == NULL || (depth = PyLong_FromLong(0)) == NULL;
    for (Py_ssize_t i = 0; !bad && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        PyObject *value = Py_XNewRef(PyDict_GetItemWithError(now, name));
        PyObject *noted = value == NULL ? NULL : note_of(notes, value, depth);
        bad = noted == NULL ? PyErr_Occurred() != NULL : PyDict_SetItem(args, name, noted) < 0;
        Py_XDECREF(value);
        Py_XDECREF(noted);
    }
    PyObject *final = bad ? NULL : PyDict_New();
    PyObject *module = final == NULL ? NULL : PyFrame_GetGlobals(frame);
    if (module != NULL && (made = PyType_GenericAlloc(Note, 0)) != NULL) {
        FIELD(made, NOTE_CODE) = Py_NewRef(PyTuple_GET_ITEM(known, 0));
        FIELD(made, MODULE) = Py_NewRef(module);
        FIELD(made, ARGUMENTS) = Py_NewRef(args);
        FIELD(made, FINAL) = Py_NewRef(final);
        FIELD(made, END) = Py_NewRef(minus_one);
    }
    bad = made == NULL || (of = field(notes, OF, &PyDict_Type)) == NULL
          || PyDict_SetItem(of, call, made) < 0;
    Py_XDECREF(made);
    Py_XDECREF(module);
    Py_XDECREF(final);
    Py_XDECREF(args);
    Py_XDECREF(depth);
    Py_XDECREF(now);
    return bad ? -1 : 0;
}

/* Notes that a call has ended: see notes.Notes.ended. */
static int
ended(PyObject *notes, PyObject *call, PyFrameObject *frame)
{
    PyObject *of = field(notes, OF, &PyDict_Type);
    PyObject *noted = of == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(of, call));
    if (noted == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyObject *now = Py_IS_TYPE(noted, Note) ? variables_of(frame) : NULL, *final = NULL, *end = NULL;
    PyObject *depth = now == NULL ? NULL : PyLong_FromLong(0);
    if (depth != NULL) {
        final = copied_dict(now, note_of, notes, depth);
        end = PyLong_FromLong(PyFrame_GetLasti(frame));
    }
    int bad = final == NULL || end == NULL;
    if (!bad) {
        Py_XSETREF(FIELD(noted, FINAL), Py_NewRef(final));
        Py_XSETREF(FIELD(noted, END), Py_NewRef(end));
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "the note of a call is none");
    }
    Py_XDECREF(final);
    Py_XDECREF(end);
    Py_XDECREF(depth);
    Py_XDECREF(now);
    Py_DECREF(noted);
    return bad ? -1 : 0;
}

/* ------------------------------------------------------------------ calls */

/* The notes of a tape, borrowed; None where there are none, NULL with an error. */
static PyObject *
notes_of(PyObject *tape)
{
    PyObject *notes = field(tape, NOTES, NULL);
    if (notes == NULL || notes == Py_None) {
        return notes;
    }
    if (!told("Notes", Notes)) {
        return NULL;
    }
    return field(tape, NOTES, Notes);
}

/* Ends the calls of which the tape stands inside, but for so many: see Tape._leave. */
static int
leave_calls(PyObject *tape, Py_ssize_t depth)
{
    for (;;) {
        PyObject *stack = field(tape, STACK, &PyList_Type), *notes = notes_of(tape);
        Py_ssize_t size = stack == NULL ? 0 : PyList_GET_SIZE(stack);
        if (notes == NULL || stack == NULL || size <= depth) {
            return notes == NULL || stack == NULL ? -1 : 0;
        }
        PyObject *last = Py_NewRef(PyList_GET_ITEM(stack, size - 1)), *place = NULL;
        int bad = PyList_SetSlice(stack, size - 1, size, NULL) < 0;
        if (!bad && (!PyTuple_CheckExact(last) || PyTuple_GET_SIZE(last) != 3
                     || !PyFrame_Check(PyTuple_GET_ITEM(last, 0)))) {
            PyErr_SetString(PyExc_TypeError, "a tape stands in what is no call");
            bad = 1;
        }
        if (!bad && notes != Py_None) {
            Py_INCREF(notes);
            bad = ended(notes, PyTuple_GET_ITEM(last, 1),
                        (PyFrameObject *)PyTuple_GET_ITEM(last, 0)) < 0;
            Py_DECREF(notes);
        }
        bad = bad || (place = field(tape, PLACE, &PyDict_Type)) == NULL;
        if (!bad) {
            PyObject *frame = PyTuple_GET_ITEM(last, 0), *before = PyTuple_GET_ITEM(last, 2);
            bad = (before == Py_None ? PyDict_DelItem(place, frame)
                                     : PyDict_SetItem(place, frame, before)) < 0;
        }
        Py_DECREF(last);
        if (bad) {
            return -1;
        }
    }
}

/* Notes where a frame stands among those that run: see Tape._push. */
static int
push_call(PyObject *tape, PyObject *frame, PyObject *call)
{
    PyObject *stack = field(tape, STACK, &PyList_Type), *place = field(tape, PLACE, &PyDict_Type);
    if (stack == NULL || place == NULL) {
        return -1;
    }
    PyObject *before = PyDict_GetItemWithError(place, frame);
    PyObject *entry = before == NULL && PyErr_Occurred()
                          ? NULL
                          : PyTuple_Pack(3, frame, call, before == NULL ? Py_None : before);
    PyObject *at = entry == NULL ? NULL : PyLong_FromSsize_t(PyList_GET_SIZE(stack));
    int bad = at == NULL || PyList_Append(stack, entry) < 0
              || PyDict_SetItem(place, frame, at) < 0;
    Py_XDECREF(entry);
    Py_XDECREF(at);
    return bad ? -1 : 0;
}

/* A Call; borrows everything. */
static PyObject *
new_call(PyObject *code, PyObject *parent, PyObject *at, PyObject *name, PyObject *owner,
         PyObject *partner)
{
    PyObject *call = Call->tp_alloc(Call, 6);
    if (call != NULL) {
        PyObject *fields[] = {code, parent, at, name, owner, partner};
        for (Py_ssize_t i = 0; i < 6; i++) {
            PyTuple_SET_ITEM(call, i, Py_NewRef(fields[i]));
        }
    }
    return call;
}

/* Whether something is a Known, of that code where one is given. */
static int
is_known(PyObject *x, PyObject *code)
{
    return Py_IS_TYPE(x, Known) && PyTuple_GET_SIZE(x) == 4
           && PyTuple_CheckExact(PyTuple_GET_ITEM(x, 1))
           && (code == NULL || PyTuple_GET_ITEM(x, 0) == code);
}

/* What is asked of code at each call: see tape.known_of. */
static PyObject *
known_code(PyObject *code)
{
    PyObject *address = PyLong_FromVoidPtr(code), *known = NULL;
    if (address != NULL && PyDict_CheckExact(known_)) {
        known = Py_XNewRef(PyDict_GetItemWithError(known_, address));
    }
    Py_XDECREF(address);
    if (known != NULL && is_known(known, code)) {
        return known;
    }
    Py_XDECREF(known);
    known = PyErr_Occurred() ? NULL : PyObject_CallOneArg(known_of_, code);
    if (known != NULL && !is_known(known, NULL)) {
        PyErr_SetString(PyExc_TypeError, "what is known of code is none");
        Py_CLEAR(known);
    }
    return known;
}

/* Opens the call that a new frame is, in the call of that number, at a place in the frame around
 * it; the number of it. Takes over `parent`. */
static PyObject *
open_call(PyObject *tape, PyFrameObject *frame, PyFrameObject *outer, PyObject *parent)
{
    PyObject *code = (PyObject *)PyFrame_GetCode(frame), *known = known_code(code);
    PyObject *calls = field(tape, CALLS, &PyList_Type), *number = NULL;
    PyObject *call = NULL, *owner = NULL, *at = NULL;
    if (known != NULL && calls != NULL) {
        owner = PyTuple_GET_ITEM(known, 2) == Py_True
                    ? PyObject_CallOneArg(owner_, (PyObject *)frame)
                    : Py_NewRef(Py_None);
        at = PyLong_FromLong(outer == NULL ? -1 : PyFrame_GetLasti(outer));
    }
    if (owner != NULL && at != NULL
        && (call = new_call(code, parent, at, Py_None, owner, Py_None)) != NULL) {
        calls = field(tape, CALLS, &PyList_Type);
        number = calls == NULL ? NULL : PyLong_FromSsize_t(PyList_GET_SIZE(calls));
    }
    int bad = number == NULL || PyList_Append(calls, call) < 0
              || push_call(tape, (PyObject *)frame, number) < 0;
    PyObject *notes = bad ? NULL : notes_of(tape);
    bad = bad || notes == NULL;
    if (!bad && notes != Py_None && PyTuple_GET_ITEM(known, 3) != Py_True) {
        Py_INCREF(notes);
        bad = began(notes, number, frame, known) < 0;
        Py_DECREF(notes);
    }
    Py_DECREF(code);
    Py_DECREF(parent);
    Py_XDECREF(known);
    Py_XDECREF(owner);
    Py_XDECREF(at);
    Py_XDECREF(call);
    if (bad) {
        Py_CLEAR(number);
    }
    return number;
}

/* The frames that are new to a tape, the innermost first; `*outer` is the one around them that it
 * knows, if there is one, and `*depth` how many calls the tape then stands in. */
static PyObject *
new_frames(PyObject *tape, PyFrameObject *frame, PyFrameObject **outer, Py_ssize_t *depth)
{
    PyObject *place = field(tape, PLACE, &PyDict_Type), *at = NULL;
    PyObject *found = place == NULL ? NULL : PyList_New(0);
    PyFrameObject *f = (PyFrameObject *)Py_NewRef(frame);
    while (found != NULL && f != NULL
           && (at = PyDict_GetItemWithError(place, (PyObject *)f)) == NULL) {
        PyObject *code = (PyObject *)PyFrame_GetCode(f);
        if (PyErr_Occurred() || (code != through_ && PyList_Append(found, (PyObject *)f) < 0)) {
            Py_CLEAR(found);
        }
        Py_DECREF(code);
        Py_SETREF(f, PyFrame_GetBack(f));
    }
    *depth = at == NULL ? 1 : PyLong_AsSsize_t(at) + 1;
    *outer = f;
    return found;
}

/* Finds the call that a frame is, and opens it, and those between: see Tape.enter. */
static int
enter_call(PyObject *tape, PyFrameObject *frame)
{
    PyFrameObject *outer;
    Py_ssize_t depth;
    PyObject *frames = new_frames(tape, frame, &outer, &depth), *stack = NULL, *call = NULL;
    if (frames != NULL && leave_calls(tape, depth) == 0) {
        stack = field(tape, STACK, &PyList_Type);
    }
    Py_ssize_t size = stack == NULL ? 0 : PyList_GET_SIZE(stack);
    if (size > 0 && PyTuple_CheckExact(PyList_GET_ITEM(stack, size - 1))) {
        call = Py_NewRef(PyTuple_GET_ITEM(PyList_GET_ITEM(stack, size - 1), 1));
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_IndexError, "a tape that nothing is written to");
    }
    for (Py_ssize_t i = frames == NULL ? -1 : PyList_GET_SIZE(frames) - 1; call && i >= 0; i--) {
        PyFrameObject *inner = (PyFrameObject *)PyList_GET_ITEM(frames, i);
        call = open_call(tape, inner, outer, call);
        Py_XSETREF(outer, (PyFrameObject *)Py_NewRef(inner));
    }
    Py_XDECREF(frames);
    Py_XDECREF(outer);
    if (call == NULL) {
        return -1;
    }
    Py_XSETREF(FIELD(tape, FRAME), Py_NewRef(frame));
    Py_XSETREF(FIELD(tape, CALL), call);
    return 0;
}

static PyObject *
tape_enter(PyObject *tape, PyObject *frame)
{
    if (!PyFrame_Check(frame)) {
        PyErr_Format(PyExc_TypeError, "enter takes a frame, got a %s", Py_TYPE(frame)->tp_name);
        return NULL;
    }
    return enter_call(tape, (PyFrameObject *)frame) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
tape_leave(PyObject *tape, PyObject *depth)
{
    Py_ssize_t number = PyLong_AsSsize_t(depth);
    if ((number == -1 && PyErr_Occurred()) || leave_calls(tape, number) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Begins a block named by hand: see Tape.go_in. */
static PyObject *
tape_go_in(PyObject *tape, PyObject *const *args, Py_ssize_t count)
{
    if ((count != 2 && count != 3) || !PyFrame_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "go_in takes a name, a frame and a partner");
        return NULL;
    }
    if (args[1] != FIELD(tape, FRAME) && enter_call(tape, (PyFrameObject *)args[1]) < 0) {
        return NULL;
    }
    PyObject *stack = field(tape, STACK, &PyList_Type), *calls = field(tape, CALLS, &PyList_Type);
    PyObject *parent = field(tape, CALL, NULL), *at = NULL, *call = NULL, *number = NULL;
    if (stack == NULL || calls == NULL || parent == NULL) {
        return NULL;
    }
    Py_ssize_t depth = PyList_GET_SIZE(stack);
    if ((at = PyLong_FromLong(PyFrame_GetLasti((PyFrameObject *)args[1]))) != NULL) {
        call = new_call(Py_None, parent, at, args[0], Py_None, count == 3 ? args[2] : Py_None);
        number = PyLong_FromSsize_t(PyList_GET_SIZE(calls));
    }
    int bad = call == NULL || number == NULL || PyList_Append(calls, call) < 0
              || push_call(tape, args[1], number) < 0;
    if (!bad) {
        Py_XSETREF(FIELD(tape, FRAME), Py_NewRef(Py_None));
    }
    Py_XDECREF(at);
    Py_XDECREF(call);
    Py_XDECREF(number);
    return bad ? NULL : PyLong_FromSsize_t(depth);
}

/* Ends a block named by hand: see Tape.come_out. */
static PyObject *
tape_come_out(PyObject *tape, PyObject *depth)
{
    PyObject *done = tape_leave(tape, depth);
    if (done != NULL) {
        Py_XSETREF(FIELD(tape, FRAME), Py_NewRef(Py_None));
    }
    return done;
}

static PyMethodDef tape_methods[] = {
    {"go_in", (PyCFunction)(void (*)(void))tape_go_in, METH_FASTCALL,
     "Begins a block named by hand."},
    {"come_out", tape_come_out, METH_O, "Ends a block named by hand."},
    {"enter", tape_enter, METH_O, "Finds the call that `frame` is, and opens it."},
    {"_leave", tape_leave, METH_O, "Ends all calls but so many."},
};

/* ------------------------------------------------------------------ arguments of blocks */

/* A copy of what a block was given or gave back, in which each traced array is a Given. */
static PyObject *
copy_of(PyObject *first, PyObject *x, PyObject *last)
{
    if (!Py_IS_TYPE(x, Array)) {
        PyObject *made = copied_container(x, copy_of, NULL, NULL);
        return made != NULL || PyErr_Occurred() ? made : Py_NewRef(x);
    }
    PyObject *tape = Py_XNewRef(field(x, TAPE, NULL)), *made = NULL;
    PyObject *id = tape == NULL ? NULL : number_of(x, tape);
    PyObject *data = id == NULL ? NULL : Py_XNewRef(field(x, DATA, NULL));
    if (data != NULL && (made = PyType_GenericAlloc(Given, 0)) != NULL) {
        FIELD(made, GIVEN_ID) = Py_NewRef(id);
        FIELD(made, GIVEN_DATA) = Py_NewRef(data);
        PyObject_GC_UnTrack(made); /* a number, and an array or a number */
    }
    Py_XDECREF(tape);
    Py_XDECREF(data);
    Py_XDECREF(id);
    return made;
}

static PyObject *
copied(PyObject *module, PyObject *x)
{
    return told("Given", Given) ? copy_of(NULL, x, NULL) : NULL;
}

/* ------------------------------------------------------------------ what a module sees */

/* What of all that a function reaches is looked into: 'f' for functions, 'x' for the rest. */
static char
reached_as(PyObject *x)
{
    if (PyFunction_Check(x)) {
        return 'f';
    }
    return Py_IS_TYPE(x, Ndarray) || PyDict_CheckExact(x) || PyList_CheckExact(x)
                   || PyTuple_CheckExact(x) || Py_IS_TYPE(x, &PyType_Type) || Py_IS_TYPE(x, Deque)
               ? 'x'
               : 0;
}

/* The functions that a function reaches, by its closure and the globals of these names; None where
 * it reaches arrays, or what may hold some. */
static PyObject *
reaches(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!told("deque", Deque)
        || !are("reaches", args, count, 2, &PyFunction_Type, &PyTuple_Type)) {
        return NULL;
    }
    PyObject *closure = PyFunction_GET_CLOSURE(args[0]), *globals = PyFunction_GET_GLOBALS(args[0]);
    PyObject *defaults = PyFunction_GET_DEFAULTS(args[0]), *found = NULL;
    Py_ssize_t cells = closure == NULL ? 0 : PyTuple_GET_SIZE(closure);
    Py_ssize_t names = PyTuple_GET_SIZE(args[1]);
    if ((defaults != NULL && PyTuple_GET_SIZE(defaults) > 0) || (found = PyList_New(0)) == NULL) {
        return found == NULL && PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    for (Py_ssize_t i = 0; i < cells + names; i++) {
        PyObject *value, *name = i < cells ? NULL : PyTuple_GET_ITEM(args[1], i - cells);
        value = name == NULL ? PyCell_GET(PyTuple_GET_ITEM(closure, i))
                             : PyDict_GetItemWithError(globals, name);
        char what = value == NULL ? 0 : reached_as(value);
        if (PyErr_Occurred() || (what == 'f' && PyList_Append(found, value) < 0)) {
            Py_DECREF(found);
            return NULL;
        }
        if (what == 'x') {
            Py_DECREF(found);
            Py_RETURN_NONE;
        }
    }
    return found;
}

/* One (name, plain, twin) of a list; 0 with an error where it is none. */
static int
exchange(PyObject *twins, Py_ssize_t i, PyObject **name, PyObject **plain, PyObject **other)
{
    PyObject *three = PyList_GET_ITEM(twins, i);
    if (!PyTuple_CheckExact(three) || PyTuple_GET_SIZE(three) != 3) {
        PyErr_SetString(PyExc_TypeError, "twins are tuples of a name, what is plain, and its twin");
        return 0;
    }
    *name = PyTuple_GET_ITEM(three, 0);
    *plain = PyTuple_GET_ITEM(three, 1);
    *other = PyTuple_GET_ITEM(three, 2);
    return 1;
}

/* Gives a module the twins of what it holds; a list of those that were exchanged, which is `twins`
 * itself if all were. */
static PyObject *
swap(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!told("ABSENT", absent) || !are("swap", args, count, 2, &PyDict_Type, &PyList_Type)) {
        return NULL;
    }
    PyObject *namespace = args[0], *twins = args[1], *name, *plain, *other, *done = NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(twins); i++) {
        if (!exchange(twins, i, &name, &plain, &other)) {
            Py_XDECREF(done);
            return NULL;
        }
        PyObject *now = PyDict_GetItemWithError(namespace, name);
        int fits = now == plain || (now == NULL && plain == absent);
        if (PyErr_Occurred() || (fits && PyDict_SetItem(namespace, name, other) < 0)
            || (!fits && done == NULL && (done = PyList_GetSlice(twins, 0, i)) == NULL)
            || (fits && done != NULL && PyList_Append(done, PyList_GET_ITEM(twins, i)) < 0)) {
            Py_XDECREF(done);
            return NULL;
        }
    }
    return done == NULL ? Py_NewRef(twins) : done;
}

/* Takes the twins from a module again, except where the code itself put something else there. */
static PyObject *
unswap(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!told("ABSENT", absent)
        || !are("unswap", args, count, 2, &PyDict_Type, &PyList_Type)) {
        return NULL;
    }
    PyObject *namespace = args[0], *twins = args[1], *name, *plain, *other;
    for (Py_ssize_t i = PyList_GET_SIZE(twins) - 1; i >= 0; i--) {
        if (!exchange(twins, i, &name, &plain, &other)) {
            return NULL;
        }
        PyObject *now = PyDict_GetItemWithError(namespace, name);
        int bad = 0;
        if (now == other) {
            bad = plain == absent ? PyDict_DelItem(namespace, name)
                                  : PyDict_SetItem(namespace, name, plain);
        }
        if (bad < 0 || PyErr_Occurred()) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ replaying */

/* What stands at a place of a list, borrowed; the place is the number of a value. */
static PyObject *
item(PyObject *list, PyObject *number)
{
    Py_ssize_t i = PyLong_AsSsize_t(number);
    if (i < 0 || i >= PyList_GET_SIZE(list)) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_IndexError, "there is no value %zd", i);
        }
        return NULL;
    }
    return PyList_GET_ITEM(list, i);
}

/* Whether a value is marked; -1 with an error. */
static int
marked(PyObject *marks, PyObject *number)
{
    Py_ssize_t i = PyLong_AsSsize_t(number);
    if (i < 0 || i >= PyByteArray_GET_SIZE(marks)) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_IndexError, "there is no value %zd", i);
        }
        return -1;
    }
    return PyByteArray_AS_STRING(marks)[i] != 0;
}

/* An entry of the tape, borrowed: (rule, out, ins, settings, call, lasti). */
static PyObject *
op_at(PyObject *ops, Py_ssize_t k)
{
    PyObject *op = k < PyList_GET_SIZE(ops) ? PyList_GET_ITEM(ops, k) : NULL;
    if (op == NULL || !PyTuple_Check(op) || PyTuple_GET_SIZE(op) != 6
        || !Py_IS_TYPE(PyTuple_GET_ITEM(op, 0), Rule) || !PyTuple_Check(PyTuple_GET_ITEM(op, 2))
        || !PyDict_Check(PyTuple_GET_ITEM(op, 3))) {
        PyErr_Format(PyExc_TypeError, "operation %zd of the tape is none", k);
        return NULL;
    }
    return op;
}

/* Marks, from the first operation on, what was computed from something marked. */
static PyObject *
spread(PyObject *module, PyObject *args)
{
    PyObject *marks, *ops;
    Py_ssize_t stop;
    if (!PyArg_ParseTuple(args, "O!O!n:spread", &PyByteArray_Type, &marks, &PyList_Type, &ops,
                          &stop)) {
        return NULL;
    }
    for (Py_ssize_t k = 0; k < stop; k++) {
        PyObject *op = op_at(ops, k);
        if (op == NULL) {
            return NULL;
        }
        PyObject *ins = PyTuple_GET_ITEM(op, 2), *out = PyTuple_GET_ITEM(op, 1);
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(ins); i++) {
            int found = marked(marks, PyTuple_GET_ITEM(ins, i));
            if (found < 0 || marked(marks, out) < 0) {
                return NULL;
            }
            if (found) {
                if (FIELD(PyTuple_GET_ITEM(op, 0), DIFFERENTIABLE) == Py_True) {
                    PyByteArray_AS_STRING(marks)[PyLong_AsSsize_t(out)] = 1;
                }
                break;
            }
        }
    }
    Py_RETURN_NONE;
}

/* The named parameters and inputs that are floating point, as trace._floating_leaves finds them. */
static PyObject *
floating_leaves(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!told("ndarray", Ndarray)
        || !are("floating_leaves", args, count, 2, &PyDict_Type, &PyList_Type)) {
        return NULL;
    }
    PyObject *leaves = args[0], *values = args[1], *key, *leaf;
    PyObject *parameters = PyList_New(0), *inputs = PyList_New(0);
    int bad = parameters == NULL || inputs == NULL, arrays = 0;
    Py_ssize_t at = 0;
    while (!bad && PyDict_Next(leaves, &at, &key, &leaf)) {
        PyObject *data = item(values, key);
        if (data == NULL || !PyTuple_Check(leaf) || PyTuple_GET_SIZE(leaf) < 3) {
            bad = 1;
            break;
        }
        int array = Py_IS_TYPE(data, Ndarray);
        Py_UCS4 letter = array ? kind_of(data) : 0;
        bad = array && letter == 0;
        if (PyTuple_GET_ITEM(leaf, 2) == Py_None
            || !(array ? letter == 'f'
                       : PyFloat_Check(data) || PyObject_TypeCheck(data, Floating))) {
            continue;
        }
        arrays = arrays || array;
        PyObject *role = PyTuple_GET_ITEM(leaf, 1);
        if (role == s_parameter || PyUnicode_Compare(role, s_parameter) == 0) {
            bad = PyList_Append(parameters, key) < 0;
        }
        else if (role == s_input || PyUnicode_Compare(role, s_input) == 0) {
            bad = PyList_Append(inputs, key) < 0;
        }
        bad = bad || PyErr_Occurred() != NULL;
    }
    if (bad) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_TypeError, "a leaf of the tape is none");
        }
        Py_XDECREF(parameters);
        Py_XDECREF(inputs);
        return NULL;
    }
    return Py_BuildValue("NNO", parameters, inputs, arrays ? Py_True : Py_False);
}

/* What a replay needs besides its operations, all borrowed. */
typedef struct {
    PyObject *way; /* the backward._Walk that takes what is not common */
    PyObject *ops, *values, *gradients, *leads, *events, *kept;
    Py_ssize_t large;
    int rewritten;
} Walk;

/* Hands over to a method of the walk in Python. */
static int
handed(Walk *walk, PyObject *name, PyObject *first, PyObject *second)
{
    PyObject *given[] = {walk->way, first, second};
    PyObject *done = PyObject_VectorcallMethod(name, given, second == NULL ? 2 : 3, NULL);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Whether data are an array or a number, and not what stands for something that is gone. */
static int
is_there(PyObject *x)
{
    return Py_IS_TYPE(x, Ndarray) || is_number(x) || Py_IS_TYPE(x, Float64);
}

static int
same_dtype(PyObject *x, PyObject *y)
{
    PyObject *a = PyObject_GetAttr(x, s_dtype);
    PyObject *b = a == NULL ? NULL : PyObject_GetAttr(y, s_dtype);
    int same = b == NULL ? -1 : a == b;
    Py_XDECREF(a);
    Py_XDECREF(b);
    return same;
}

static Py_ssize_t
length(PyObject *shape, Py_ssize_t axis)
{
    return PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, axis));
}

/* The gradient of a bias of matrices: the sum over the one axis along which it was stretched.
 * Borrows `have` and `want`, the shapes; NULL without an error where it is anything else. */
static PyObject *
summed(PyObject *piece, PyObject *have, PyObject *want)
{
    Py_ssize_t dims = PyTuple_GET_SIZE(want);
    if (PyTuple_GET_SIZE(have) != 2 || dims < 1 || dims > 2) {
        return NULL;
    }
    long axis = dims == 2 && length(have, 0) == length(want, 0) && length(want, 1) == 1   ? 1
                : length(have, 1) == length(want, dims - 1)
                          && (dims == 1 || (length(want, 0) == 1 && length(have, 0) != 1)) ? 0
                                                                                           : -1;
    PyObject *number = axis < 0 ? NULL : PyLong_FromLong(axis);
    if (number == NULL) {
        return NULL;
    }
    PyObject *given[] = {piece, number, Py_None, Py_None, dims == 2 ? Py_True : Py_False};
    PyObject *made = PyObject_Vectorcall(sum_, given, 5, NULL);
    Py_DECREF(number);
    return made;
}

/* Whether an array has the shape of another; if not, and it is simple, `*made` is it so summed. */
static int
shaped(PyObject *piece, PyObject *x, PyObject **made)
{
    PyObject *have = PyObject_GetAttr(piece, s_shape);
    PyObject *want = have == NULL ? NULL : PyObject_GetAttr(x, s_shape);
    int same = want == NULL ? -1 : PyObject_RichCompareBool(have, want, Py_EQ);
    if (same == 0 && PyTuple_Check(have) && PyTuple_Check(want)) {
        Py_UCS4 letter = kind_of(x);
        *made = letter == 'f' ? summed(piece, have, want) : NULL;
        same = PyErr_Occurred() ? -1 : 0;
    }
    Py_XDECREF(have);
    Py_XDECREF(want);
    return same;
}

/* A gradient in the shape and dtype of what it is the gradient of. Takes over `piece`. */
static PyObject *
fitted(PyObject *piece, PyObject *x)
{
    int fits;
    if (Py_IS_TYPE(piece, Ndarray) && Py_IS_TYPE(x, Ndarray)) {
        PyObject *made = NULL;
        fits = same_dtype(piece, x);
        fits = fits == 1 ? shaped(piece, x, &made) : fits;
        if (made != NULL) {
            Py_DECREF(piece);
            return made;
        }
    }
    else {
        fits = Py_IS_TYPE(piece, Float64) && (Py_IS_TYPE(x, Float64) || PyFloat_CheckExact(x));
    }
    if (fits == 0) {
        PyObject *both[] = {piece, x};
        PyObject *made = PyObject_Vectorcall(fit_, both, 2, NULL);
        Py_DECREF(piece);
        return made;
    }
    if (fits < 0) {
        Py_CLEAR(piece);
    }
    return piece;
}

/* Makes the gradients of one or two operands; which of them got one. NULL with an error. */
static PyObject *
mirrored(Walk *walk, PyObject *op, PyObject *backward, PyObject *g, PyObject *answer,
         PyObject **operands)
{
    PyObject *ins = PyTuple_GET_ITEM(op, 2), *settings = PyTuple_GET_ITEM(op, 3);
    Py_ssize_t count = PyTuple_GET_SIZE(ins);
    PyObject *given[] = {g, answer, operands[0], count > 1 ? operands[1] : NULL};
    PyObject *targets[2];
    Py_ssize_t found = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *function = PyTuple_GET_ITEM(backward, i);
        /* of one operand it is known that it leads: its output does */
        int leads = count == 1 ? 1 : marked(walk->leads, PyTuple_GET_ITEM(ins, i));
        if (leads < 0) {
            return NULL;
        }
        if (!leads || (function == Py_None && count > 1)) {
            continue;
        }
        PyObject *piece = PyDict_GET_SIZE(settings) == 0
                              ? PyObject_Vectorcall(function, given, 2 + count, NULL)
                              : PyObject_VectorcallDict(function, given, 2 + count, settings);
        piece = piece == NULL ? NULL : fitted(piece, operands[i]);
        if (piece == NULL || PyList_Append(walk->values, piece) < 0) {
            Py_XDECREF(piece);
            return NULL;
        }
        Py_DECREF(piece);
        targets[found++] = PyTuple_GET_ITEM(ins, i);
    }
    if (found == count) {
        return Py_NewRef(ins);
    }
    PyObject *one = found ? PyTuple_Pack(1, targets[0]) : PyTuple_New(0);
    if (one != NULL && found) {
        PyObject_GC_UnTrack(one);
    }
    return one;
}

/* Adds a gradient to that which its value has; large ones take the way that saves memory. */
static int
met(Walk *walk, PyObject *target, PyObject *number)
{
    PyObject *before = PyDict_GetItemWithError(walk->gradients, target);
    PyObject *x = before == NULL ? NULL : item(walk->values, before);
    PyObject *y = x == NULL ? NULL : item(walk->values, number);
    if (y == NULL) {
        return -1;
    }
    Py_ssize_t size = 0;
    if (walk->large != PY_SSIZE_T_MAX && Py_IS_TYPE(x, Ndarray) && (size = bytes_of(x)) < 0) {
        return -1;
    }
    if (size >= walk->large) {
        return handed(walk, s_meet, target, number);
    }
    Py_INCREF(before);
    Py_INCREF(x);
    Py_INCREF(y);
    PyObject *sum = PyNumber_Add(x, y), *event = NULL;
    PyObject *place = sum == NULL ? NULL : PyLong_FromSsize_t(PyList_GET_SIZE(walk->values));
    PyObject *pair = place == NULL ? NULL : PyTuple_Pack(2, before, number);
    if (pair != NULL) {
        event = PyTuple_Pack(4, add_, target, pair, place);
    }
    int bad = event == NULL || PyList_Append(walk->values, sum) < 0
              || PyDict_SetItem(walk->gradients, target, place) < 0
              || PyList_Append(walk->events, event) < 0;
    Py_DECREF(before);
    Py_DECREF(x);
    Py_DECREF(y);
    Py_XDECREF(sum);
    Py_XDECREF(place);
    Py_XDECREF(pair);
    Py_XDECREF(event);
    return bad ? -1 : 0;
}

/* Notes a mirror, and gives each operand its gradient, or adds to the one that it has. */
static int
noted(Walk *walk, Py_ssize_t k, PyObject *gradient, PyObject *targets, Py_ssize_t first)
{
    PyObject *place = PyLong_FromSsize_t(k), *number = PyLong_FromSsize_t(first);
    PyObject *event = place == NULL || number == NULL
                          ? NULL
                          : PyTuple_Pack(5, mirror_, place, gradient, targets, number);
    if (event != NULL && !PyObject_GC_IsTracked(targets)) {
        PyObject_GC_UnTrack(event);
    }
    int bad = event == NULL || PyList_Append(walk->events, event) < 0;
    for (Py_ssize_t i = 0; !bad && i < PyTuple_GET_SIZE(targets); i++) {
        PyObject *target = PyTuple_GET_ITEM(targets, i);
        if (i > 0) {
            Py_SETREF(number, PyLong_FromSsize_t(first + i));
            if (number == NULL) {
                bad = 1;
                break;
            }
        }
        int has = PyDict_Contains(walk->gradients, target);
        if (has == 1) {
            bad = met(walk, target, number) < 0;
        }
        else {
            bad = has < 0 || PyDict_SetItem(walk->gradients, target, number) < 0;
        }
    }
    Py_XDECREF(place);
    Py_XDECREF(number);
    Py_XDECREF(event);
    return bad ? -1 : 0;
}

/* Lets a large gradient go that was used and that nobody asked for. */
static int
dropped(Walk *walk, PyObject *out, PyObject *gradient, PyObject *g)
{
    if (walk->large == PY_SSIZE_T_MAX || !Py_IS_TYPE(g, Ndarray)) {
        return 0;
    }
    Py_ssize_t size = bytes_of(g);
    if (size < walk->large) {
        return size < 0 ? -1 : 0;
    }
    int kept = PySet_Contains(walk->kept, out);
    if (kept != 0) {
        return kept < 0 ? -1 : 0;
    }
    return handed(walk, s_drop, gradient, NULL);
}

/* One operation whose output may have a gradient. */
static int
stepped(Walk *walk, PyObject *op, Py_ssize_t k)
{
    PyObject *out = PyTuple_GET_ITEM(op, 1), *ins = PyTuple_GET_ITEM(op, 2);
    PyObject *gradient = PyDict_GetItemWithError(walk->gradients, out);
    if (gradient == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int leads = marked(walk->leads, out);
    if (leads <= 0) {
        return leads;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(ins), first = PyList_GET_SIZE(walk->values);
    PyObject *backward = FIELD(PyTuple_GET_ITEM(op, 0), BACKWARD);
    PyObject *held[4] = {NULL}; /* the gradient, the output, the operands */
    int odd = backward == NULL || !PyTuple_CheckExact(backward)
              || PyTuple_GET_SIZE(backward) != count || count < 1 || count > 2;
    int bad = 0;
    Py_INCREF(gradient);
    for (Py_ssize_t i = 0; !odd && !bad && i < 2 + count; i++) {
        PyObject *number = i == 0 ? gradient : i == 1 ? out : PyTuple_GET_ITEM(ins, i - 2);
        held[i] = Py_XNewRef(item(walk->values, number));
        bad = held[i] == NULL;
        odd = !bad && i > 0 && walk->rewritten && !is_there(held[i]);
    }
    if (odd && !bad) {
        PyObject *place = PyLong_FromSsize_t(k);
        bad = place == NULL || handed(walk, s_odd, place, gradient) < 0;
        Py_XDECREF(place);
    }
    else if (!bad) {
        PyObject *targets = mirrored(walk, op, backward, held[0], held[1], held + 2);
        bad = targets == NULL
              || (PyTuple_GET_SIZE(targets) > 0 && noted(walk, k, gradient, targets, first) < 0)
              || dropped(walk, out, gradient, held[0]) < 0;
        Py_XDECREF(targets);
    }
    for (int i = 0; i < 4; i++) {
        Py_XDECREF(held[i]);
    }
    Py_DECREF(gradient);
    return bad ? -1 : 0;
}

static PyObject *
walk_back(PyObject *module, PyObject *args)
{
    Walk walk;
    Py_ssize_t stop;
    if (!PyArg_ParseTuple(args, "OO!O!O!O!O!O!npn:walk", &walk.way, &PyList_Type, &walk.ops,
                          &PyList_Type, &walk.values, &PyDict_Type, &walk.gradients,
                          &PyByteArray_Type, &walk.leads, &PyList_Type, &walk.events, &PySet_Type,
                          &walk.kept, &walk.large, &walk.rewritten, &stop)) {
        return NULL;
    }
    if (!told("_fitted", fit_)) {
        return NULL;
    }
    for (Py_ssize_t k = stop - 1; k >= 0; k--) {
        PyObject *op = Py_XNewRef(op_at(walk.ops, k));
        int bad = op == NULL || stepped(&walk, op, k) < 0;
        Py_XDECREF(op);
        if (bad) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* ------------------------------------------------------------------ the module */

/* Where `__slots__` put a field of a class. */
static int
found(PyTypeObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *member = PyObject_GetAttrString((PyObject *)type, name);
    int right = member != NULL && Py_IS_TYPE(member, &PyMemberDescr_Type)
                && ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX;
    if (right) {
        *offset = ((PyMemberDescrObject *)member)->d_member->offset;
    }
    else if (member != NULL) {
        PyErr_Format(PyExc_TypeError, "%s.%s is no slot", type->tp_name, name);
    }
    Py_XDECREF(member);
    return right;
}

/* What Python tells, by name: `t` a type, `T` a type of tuples, `n` a number, `o` anything. */
static const struct {
    const char *name;
    void *place;
    char kind;
} THINGS[] = {
    {"Array", &Array, 't'}, {"Alias", &Alias, 't'}, {"Buffer", &Buffer, 't'}, {"Tape", &Tape, 't'},
    {"Rule", &Rule, 't'}, {"Leaf", &Leaf, 'T'}, {"Call", &Call, 'T'}, {"Known", &Known, 'T'},
    {"ndarray", &Ndarray, 't'}, {"float64", &Float64, 't'}, {"floating", &Floating, 't'}, {"inexact", &Inexact, 't'},
    {"Entrance", &Entrance, 't'}, {"Marked", &Marked, 't'}, {"deque", &Deque, 't'},
    {"Given", &Given, 't'}, {"Ref", &Ref, 't'}, {"Note", &Note, 't'}, {"Notes", &Notes, 't'},
    {"NONE", &no_settings, 'o'}, {"read", &read_, 'o'}, {"version", &version_, 'o'},
    {"role", &role_, 'o'}, {"holds_state", &state_, 'o'}, {"sum", &sum_, 'o'},
    {"ABSENT", &absent, 'o'}, {"dtype", &float64, 'o'}, {"known", &known_, 'o'},
    {"known_of", &known_of_, 'o'}, {"owner_of", &owner_, 'o'}, {"through", &through_, 'o'},
    {"fitted", &fit_, 'o'}, {"MIRROR", &mirror_, 'o'}, {"SUM", &add_, 'o'},
    {"KEPT_BYTES", &copied_bytes, 'n'}, {"LARGE", &many, 'n'},
};

/* Where the fields of those types are that are reached without asking. */
static const struct {
    PyTypeObject **type;
    const char *name;
    Py_ssize_t *offset;
} FIELDS[] = {
    {&Array, "data", &DATA}, {&Array, "id", &ID}, {&Array, "tape", &TAPE}, {&Array, "alias", &ALIAS},
    {&Alias, "buffer", &BUFFER}, {&Alias, "seen", &SEEN_THEN},
    {&Buffer, "generation", &GENERATION}, {&Buffer, "live", &LIVE},
    {&Tape, "open", &OPEN}, {&Tape, "frame", &FRAME}, {&Tape, "call", &CALL},
    {&Tape, "calls", &CALLS}, {&Tape, "values", &VALUES}, {&Tape, "ops", &OPS},
    {&Tape, "leaves", &LEAVES}, {&Tape, "_stack", &STACK}, {&Tape, "_place", &PLACE},
    {&Tape, "notes", &NOTES}, {&Rule, "backward", &BACKWARD},
    {&Rule, "differentiable", &DIFFERENTIABLE}, {&Entrance, "tape", &ENTRANCE_TAPE},
    {&Entrance, "arrays", &ARRAYS}, {&Entrance, "_seen", &SEEN}, {&Entrance, "_held", &HELD},
    {&Entrance, "put_back", &PUT_BACK}, {&Marked, "data", &MARKED_DATA},
    {&Marked, "role", &MARKED_ROLE}, {&Marked, "name", &MARKED_NAME}, {&Given, "id", &GIVEN_ID},
    {&Given, "data", &GIVEN_DATA}, {&Ref, "id", &REF_ID}, {&Notes, "of", &OF},
    {&Note, "code", &NOTE_CODE}, {&Note, "module", &MODULE}, {&Note, "args", &ARGUMENTS},
    {&Note, "final", &FINAL}, {&Note, "end", &END},
};

#define COUNT(table) (sizeof table / sizeof *table)

/* Takes in one thing of THINGS. */
static int
take(size_t k, PyObject *value)
{
    char kind = THINGS[k].kind;
    if (kind == 'n') {
        Py_ssize_t number = PyLong_AsSsize_t(value);
        *(Py_ssize_t *)THINGS[k].place = number;
        return number == -1 && PyErr_Occurred() ? -1 : 0;
    }
    if (kind != 'o' && (!PyType_Check(value)
                        || (kind == 'T' && !PyType_IsSubtype((PyTypeObject *)value, &PyTuple_Type)))) {
        PyErr_Format(PyExc_TypeError, "%s is to be a type%s", THINGS[k].name,
                     kind == 'T' ? " of tuples" : "");
        return -1;
    }
    for (size_t i = 0; i < COUNT(FIELDS); i++) {
        if ((void *)FIELDS[i].type == THINGS[k].place
            && !found((PyTypeObject *)value, FIELDS[i].name, FIELDS[i].offset)) {
            return -1;
        }
    }
    Py_XSETREF(*(PyObject **)THINGS[k].place, Py_NewRef(value));
    return 0;
}

/* Takes in what Python tells, each by its name. */
static PyObject *
prepare(PyObject *module, PyObject *args, PyObject *things)
{
    PyObject *name, *value;
    Py_ssize_t at = 0;
    while (things != NULL && PyDict_Next(things, &at, &name, &value)) {
        size_t k = 0;
        while (k < COUNT(THINGS) && PyUnicode_CompareWithASCIIString(name, THINGS[k].name) != 0) {
            k++;
        }
        if (k == COUNT(THINGS)) {
            return PyErr_Format(PyExc_TypeError, "nobody asks for %U", name);
        }
        if (take(k, value) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* Gives the class of tapes the methods of tape_methods, in place of its own. */
static PyObject *
give_methods(PyObject *module, PyObject *ignored)
{
    if (!told("Tape", Tape) || !told("Call", Call) || !told("known_of", known_of_)) {
        return NULL;
    }
    for (size_t i = 0; i < COUNT(tape_methods); i++) {
        PyObject *method = PyDescr_NewMethod(Tape, &tape_methods[i]);
        int bad = method == NULL
                  || PyObject_SetAttrString((PyObject *)Tape, tape_methods[i].ml_name, method) < 0;
        Py_XDECREF(method);
        if (bad) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"prepare", (PyCFunction)(void (*)(void))prepare, METH_VARARGS | METH_KEYWORDS,
     "prepare(**things): says what is meant by names such as Array; see THINGS in the source."},
    {"give_methods", give_methods, METH_NOARGS, "give_methods(): gives tapes compiled methods."},
    {"note", (PyCFunction)(void (*)(void))note, METH_FASTCALL,
     "note(notes, x, depth): see notes.Notes._any."},
    {"copied", copied, METH_O, "copied(tree): see blocks.copied."},
    {"operator", make_operator, METH_VARARGS,
     "operator(rule, function, slow, operands, swapped): an operator, for the class Array."},
    {"method", make_method, METH_VARARGS,
     "method(rule, function, slow, operands, allowed): a method, for the class Array."},
    {"function", make_function, METH_VARARGS,
     "function(rule, function, slow, operands, allowed): a function of one or two operands."},
    {"twin", (PyCFunction)(void (*)(void))twin, METH_FASTCALL,
     "twin(entrance, data, name, path, contained, role): the traced array for a plain one."},
    {"enter", (PyCFunction)(void (*)(void))enter, METH_FASTCALL,
     "enter(entrance, x, name, path, contained): see Entrance.enter."},
    {"put_back", (PyCFunction)(void (*)(void))put_back, METH_FASTCALL,
     "put_back(dict, unwrap, how): plain arrays for traced ones; the rest is given to unwrap."},
    {"reaches", (PyCFunction)(void (*)(void))reaches, METH_FASTCALL,
     "reaches(function, names): see reaching.reach."},
    {"swap", (PyCFunction)(void (*)(void))swap, METH_FASTCALL,
     "swap(namespace, twins): gives a module its twins; those (name, plain, twin) that it took."},
    {"unswap", (PyCFunction)(void (*)(void))unswap, METH_FASTCALL,
     "unswap(namespace, twins): takes them from it again."},
    {"floating_leaves", (PyCFunction)(void (*)(void))floating_leaves, METH_FASTCALL,
     "floating_leaves(leaves, values): see trace._floating_leaves."},
    {"spread", spread, METH_VARARGS, "spread(marks, ops, stop): see backward._leading_to."},
    {"walk", walk_back, METH_VARARGS, "walk(way, ...): see backward._Walk.back."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_speedups", "The hot loops of recording and replay, compiled.", -1,
    functions};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    struct {
        PyObject **place;
        const char *text;
    } words[] = {{&s_given, "given"}, {&s_shape, "shape"},
                 {&s_dtype, "dtype"}, {&s_kind, "kind"},   {&s_ndim, "ndim"},
                 {&s_copy, "copy"},   {&s_nbytes, "nbytes"},
                 {&s_parameter, "parameter"}, {&s_input, "input"},
                 {&s_enter_any, "_enter"}, {&s_item, "_item"},
                 {&s_odd, "odd"}, {&s_meet, "meet"}, {&s_drop, "drop"},
                 {&s_note_any, "_any"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if ((*words[i].place = PyUnicode_InternFromString(words[i].text)) == NULL) {
            return NULL;
        }
    }
    if ((minus_one = PyLong_FromLong(-1)) == NULL
        || (Function = (PyTypeObject *)PyType_FromSpec(&function_spec)) == NULL
        || (Operator = (PyTypeObject *)PyType_FromSpec(&operator_spec)) == NULL) {
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddIntConstant(module, "VERSION", VERSION) < 0) {
        Py_CLEAR(module);
    }
    return module;
}
