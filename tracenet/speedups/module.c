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

#include "fields.h"
#include "record.h"
#include "entrance.h"
#include "notes.h"
#include "calls.h"
#include "modules.h"
#include "replay.h"

#define VERSION 3 /* compiled.VERSION: another one is not used */

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
    {"copied", &copied_, 'o'}, {"UNKNOWN", &unknown, 'o'},
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
        if (number == -1 && PyErr_Occurred()) {
            return -1;
        }
        *(Py_ssize_t *)THINGS[k].place = number;
        return 0;
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
    if (PyTuple_GET_SIZE(args) > 0) {
        PyErr_SetString(PyExc_TypeError, "prepare takes names");
        return NULL;
    }
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
    if (!told("Tape", Tape) || !told("Call", Call) || !told("known_of", known_of_)
        || !told("known", known_) || !told("Known", Known) || !told("owner_of", owner_)
        || !told("through", through_)) {
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
