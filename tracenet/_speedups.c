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

#define VERSION 2 /* compiled.VERSION: another one is not used */

#define FIELD(object, offset) (*(PyObject **)((char *)(object) + (offset)))

static PyTypeObject *Array, *Tape, *Rule, *Leaf, *Ndarray, *Float64, *Floating,
    *Entrance, *Marked, *Deque;
static Py_ssize_t DATA, ID, TAPE, ALIAS;          /* of an Array */
static Py_ssize_t OPEN, FRAME, CALL, VALUES, OPS, LEAVES; /* of a Tape */
static Py_ssize_t BACKWARD, DIFFERENTIABLE;       /* of a Rule */
static Py_ssize_t ENTRANCE_TAPE, ARRAYS, SEEN, HELD, PUT_BACK; /* of an Entrance */
static Py_ssize_t MARKED_DATA, MARKED_ROLE, MARKED_NAME;   /* of a Marked */
static PyObject *no_settings, *read_, *role_;     /* compiled.NONE, memory.read, roles.role */
static PyObject *state_;                          /* roles.holds_state */
static PyObject *sum_;                            /* np.add.reduce */
static PyObject *absent;                          /* compiled.ABSENT */
static PyObject *float64;                         /* the one dtype of nearly all arrays */
static Py_ssize_t copied_bytes;                   /* tape.KEPT_BYTES */
static PyObject *s_copy, *s_enter, *s_given, *s_shape, *s_dtype, *s_kind, *s_ndim, *s_nbytes,
    *s_parameter, *s_input, *s_enter_any, *s_item, *s_odd, *s_meet,
    *s_drop, *minus_one;

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

/* The number of the value that an operand is now. A plain number becomes a new value. */
static PyObject *
value_of(PyObject *x, PyObject *tape)
{
    if (Py_IS_TYPE(x, Array)) {
        if (FIELD(x, ALIAS) == Py_None) {
            return Py_XNewRef(field(x, ID, NULL));
        }
        PyObject *both[] = {tape, x};
        return PyObject_Vectorcall(read_, both, 2, NULL);
    }
    PyObject *values = field(tape, VALUES, &PyList_Type);
    if (values == NULL) {
        return NULL;
    }
    Py_ssize_t id = PyList_GET_SIZE(values);
    return PyList_Append(values, x) < 0 ? NULL : PyLong_FromSsize_t(id);
}

/* Sees to it that the tape stands at the call that the program is in; that frame, borrowed. */
static PyFrameObject *
at_frame(PyObject *tape)
{
    PyFrameObject *frame = PyEval_GetFrame(); /* compiled code has none: it is the program's own */
    if (frame == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "an operation outside of any Python function");
        return NULL;
    }
    if ((PyObject *)frame != FIELD(tape, FRAME)) {
        PyObject *done = PyObject_CallMethodOneArg(tape, s_enter, (PyObject *)frame);
        if (done == NULL) {
            return NULL;
        }
        Py_DECREF(done);
    }
    return frame;
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

static PyObject *
call_one(PyObject *callable, PyObject *const *args, size_t count, PyObject *names)
{
    Recorder *self = (Recorder *)callable;
    PyObject *tape = PyVectorcall_NARGS(count) == 1 ? tape_of(args[0]) : NULL;
    Py_ssize_t keywords = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    /* what is no array, as the sum of a sum, takes the long way: `ndarray.sum` is for arrays */
    if (tape == NULL || keywords > 4 || !Py_IS_TYPE(FIELD(args[0], DATA), Ndarray)) {
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
    PyFrameObject *frame = data == NULL ? NULL : at_frame(tape);
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

static PyObject *
recorder(PyTypeObject *type, vectorcallfunc how, PyObject *rule, PyObject *function, PyObject *slow,
         PyObject *allowed, int swapped)
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
    made->swapped = swapped;
    PyObject_GC_Track(made);
    return (PyObject *)made;
}

static PyObject *
make_operator(PyObject *module, PyObject *args)
{
    PyObject *rule, *function, *slow;
    int swapped;
    if (!PyArg_ParseTuple(args, "OOOp:operator", &rule, &function, &slow, &swapped)) {
        return NULL;
    }
    return recorder(Operator, call_two, rule, function, slow, NULL, swapped);
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
    return recorder(Function, operands == 1 ? call_one : call_two, rule, function, slow, allowed,
                    0);
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

/* Whether what is needed was said before, by the function of that name; else an error. */
static int
said_by(const char *name, void *needed)
{
    if (needed == NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s() was not called", name);
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
    if (!said_by("prepare_entrance", Entrance)) {
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
    if (!said_by("prepare", Array) || !are("put_back", args, count, 3, &PyDict_Type, NULL)) {
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
    if (!said_by("prepare_entrance", Deque)
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
    if (!said_by("prepare", absent) || !are("swap", args, count, 2, &PyDict_Type, &PyList_Type)) {
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
    if (!said_by("prepare", absent)
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
    if (!said_by("prepare", Ndarray)
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

static PyObject *fit_, *mirror_, *add_; /* backward._fitted, and the first words of events */

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
    if (fit_ == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "prepare_walk() was not called");
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

static PyObject *
prepare(PyObject *module, PyObject *args)
{
    PyTypeObject *array, *tape, *rule, *leaf, *ndarray, *double_, *floating;
    PyObject *none, *read, *role, *sum, *missing, *dtype;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "O!O!O!O!O!O!O!O!OOOOOn:prepare", &PyType_Type, &array,
                          &PyType_Type, &tape, &PyType_Type, &rule, &PyType_Type, &leaf,
                          &PyType_Type, &ndarray,
                          &PyType_Type, &double_, &PyType_Type, &floating, &PyDict_Type, &none,
                          &read, &role, &sum, &missing, &dtype, &bytes)) {
        return NULL;
    }
    if (!found(array, "data", &DATA) || !found(array, "id", &ID) || !found(array, "tape", &TAPE)
        || !found(array, "alias", &ALIAS) || !found(tape, "open", &OPEN)
        || !found(tape, "frame", &FRAME) || !found(tape, "call", &CALL)
        || !found(tape, "values", &VALUES) || !found(tape, "ops", &OPS)
        || !found(tape, "leaves", &LEAVES)
        || !found(rule, "backward", &BACKWARD)
        || !found(rule, "differentiable", &DIFFERENTIABLE)) {
        return NULL;
    }
    if (!PyType_IsSubtype(leaf, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "a Leaf is no tuple");
        return NULL;
    }
    copied_bytes = bytes;
    Py_XSETREF(Array, (PyTypeObject *)Py_NewRef(array));
    Py_XSETREF(Tape, (PyTypeObject *)Py_NewRef(tape));
    Py_XSETREF(Rule, (PyTypeObject *)Py_NewRef(rule));
    Py_XSETREF(Leaf, (PyTypeObject *)Py_NewRef(leaf));
    Py_XSETREF(Ndarray, (PyTypeObject *)Py_NewRef(ndarray));
    Py_XSETREF(Float64, (PyTypeObject *)Py_NewRef(double_));
    Py_XSETREF(Floating, (PyTypeObject *)Py_NewRef(floating));
    Py_XSETREF(no_settings, Py_NewRef(none));
    Py_XSETREF(read_, Py_NewRef(read));
    Py_XSETREF(role_, Py_NewRef(role));
    Py_XSETREF(sum_, Py_NewRef(sum));
    Py_XSETREF(absent, Py_NewRef(missing));
    Py_XSETREF(float64, Py_NewRef(dtype));
    Py_RETURN_NONE;
}

/* Says what the replay works with. */
static PyObject *
prepare_walk(PyObject *module, PyObject *args)
{
    PyObject *fit, *mirror, *add;
    if (!PyArg_ParseTuple(args, "OOO:prepare_walk", &fit, &mirror, &add)) {
        return NULL;
    }
    Py_XSETREF(fit_, Py_NewRef(fit));
    Py_XSETREF(mirror_, Py_NewRef(mirror));
    Py_XSETREF(add_, Py_NewRef(add));
    Py_RETURN_NONE;
}

/* Says what arrays come in by. */
static PyObject *
prepare_entrance(PyObject *module, PyObject *args)
{
    PyTypeObject *entrance, *marked, *deque;
    PyObject *state;
    if (!PyArg_ParseTuple(args, "O!O!O!O:prepare_entrance", &PyType_Type, &entrance, &PyType_Type,
                          &marked, &PyType_Type, &deque, &state)
        || !found(entrance, "tape", &ENTRANCE_TAPE) || !found(entrance, "arrays", &ARRAYS)
        || !found(entrance, "_seen", &SEEN) || !found(entrance, "_held", &HELD)
        || !found(entrance, "put_back", &PUT_BACK)
        || !found(marked, "data", &MARKED_DATA) || !found(marked, "role", &MARKED_ROLE)
        || !found(marked, "name", &MARKED_NAME)) {
        return NULL;
    }
    Py_XSETREF(Entrance, (PyTypeObject *)Py_NewRef(entrance));
    Py_XSETREF(Marked, (PyTypeObject *)Py_NewRef(marked));
    Py_XSETREF(Deque, (PyTypeObject *)Py_NewRef(deque));
    Py_XSETREF(state_, Py_NewRef(state));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"prepare", prepare, METH_VARARGS,
     "prepare(Array, Tape, Rule, Leaf, ndarray, float64, floating, NONE, read, role, sum, ABSENT, "
     "dtype, bytes): says what these are."},
    {"prepare_entrance", prepare_entrance, METH_VARARGS,
     "prepare_entrance(Entrance, Marked, deque, holds_state): says what arrays come in by."},
    {"prepare_walk", prepare_walk, METH_VARARGS,
     "prepare_walk(_fitted, MIRROR, SUM): says what a replay works with."},
    {"operator", make_operator, METH_VARARGS,
     "operator(rule, function, slow, swapped): an operator of two operands, for the class Array."},
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
    } words[] = {{&s_enter, "enter"}, {&s_given, "given"}, {&s_shape, "shape"},
                 {&s_dtype, "dtype"}, {&s_kind, "kind"},   {&s_ndim, "ndim"},
                 {&s_copy, "copy"},   {&s_nbytes, "nbytes"},
                 {&s_parameter, "parameter"}, {&s_input, "input"},
                 {&s_enter_any, "_enter"}, {&s_item, "_item"},
                 {&s_odd, "odd"}, {&s_meet, "meet"}, {&s_drop, "drop"}};
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
