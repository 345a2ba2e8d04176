/* What functions reach, and what modules see: see recording/reaching.py and recording/scope.py. */

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
