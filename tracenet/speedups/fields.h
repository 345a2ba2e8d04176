/* The Python classes that are worked with, where their fields are, and questions about arrays. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#ifdef Py_GIL_DISABLED
#error "nothing here is synchronised: without the GIL the Python functions run"
#endif
#include <structmember.h>
#include <stddef.h>

#define NESTED 200 /* containers in containers that are followed, in notes */

#define FIELD(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* What `prepare` is told, by the names that Python has for it: see THINGS. */
static PyTypeObject *Array, *Alias, *Buffer, *Tape, *Rule, *Leaf, *Call, *Known, *Ndarray, *Float64,
    *Floating, *Inexact, *Entrance, *Marked, *Deque, *Given, *Ref, *Note, *Notes;
static PyObject *no_settings, *read_, *version_, *role_, *state_, *sum_, *absent, *float64, *known_,
    *known_of_, *owner_, *through_, *copied_, *unknown, *fit_, *mirror_, *add_;
static Py_ssize_t copied_bytes, many;

/* Where fields of those types are: see FIELDS. */
static Py_ssize_t DATA, ID, TAPE, ALIAS, BUFFER, SEEN_THEN, GENERATION, LIVE;
static Py_ssize_t OPEN, FRAME, CALL, CALLS, VALUES, OPS, LEAVES, STACK, PLACE, NOTES;
static Py_ssize_t BACKWARD, DIFFERENTIABLE, ENTRANCE_TAPE, ARRAYS, SEEN, HELD, PUT_BACK;
static Py_ssize_t MARKED_DATA, MARKED_ROLE, MARKED_NAME, GIVEN_ID, GIVEN_DATA, REF_ID, OF;
static Py_ssize_t NOTE_CODE, MODULE, ARGUMENTS, FINAL, END;

static PyObject *s_copy, *s_given, *s_shape, *s_dtype, *s_kind, *s_ndim, *s_nbytes, *s_parameter,
    *s_input, *s_enter_any, *s_item, *s_odd, *s_meet, *s_drop, *s_note_any, *minus_one;

static int
is_number(PyObject *x)
{
    return PyFloat_CheckExact(x) || PyLong_CheckExact(x);
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

static int
is_atom(PyObject *x)
{
    return is_number(x) || PyUnicode_CheckExact(x) || x == Py_None || PyBool_Check(x);
}

/* Whether data are an array or a number, and not what stands for something that is gone. */
static int
is_there(PyObject *x)
{
    return Py_IS_TYPE(x, Ndarray) || is_number(x) || Py_IS_TYPE(x, Float64);
}
