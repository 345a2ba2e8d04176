/* What calls were given and gave back: see recording/notes.py and recording/blocks.py. */

static PyObject *note_of(PyObject *notes, PyObject *x, PyObject *depth);

/* A traced array as the number of the value that it is now. */
static PyObject *
new_ref(PyObject *x)
{
    PyObject *buffer, *id = FIELD(x, ID), *tape = field(x, TAPE, Tape);
    if (tape == NULL || FIELD(tape, OPEN) != Py_True) { /* left over from a trace that has ended */
        return tape == NULL ? NULL : Py_XNewRef(field(x, DATA, NULL));
    }
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

/* The containers that are being copied, one in the other: what holds itself is not followed. */
static PyObject *around[NESTED];
static int nested;

static int
is_around(PyObject *x)
{
    for (int i = 0; i < nested; i++) {
        if (around[i] == x) {
            return 1;
        }
    }
    return nested == NESTED;
}

/* NULL without an error also for a container that is in itself, or in too many others. */
static PyObject *
copied_container(PyObject *x, Copier copy, PyObject *first, PyObject *last)
{
    if (is_around(x)) {
        return NULL;
    }
    around[nested++] = x;
    PyObject *made = PyDict_CheckExact(x)    ? copied_dict(x, copy, first, last)
                     : PyList_CheckExact(x)  ? copied_list(x, copy, first, last)
                     : PyTuple_CheckExact(x) ? copied_tuple(x, copy, first, last)
                                             : NULL;
    nested--;
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
        PyObject *made = copied_container(x, note_of, notes, depth);
        return made != NULL || PyErr_Occurred() ? made : Py_NewRef(unknown);
    }
    PyObject *passed[] = {notes, x, depth};
    return PyObject_VectorcallMethod(s_note_any, passed, 3, NULL);
}

static PyObject *
note(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (!told("Ref", Ref) || !told("UNKNOWN", unknown) || !are("note", args, count, 3, NULL, NULL)) {
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

/* A copy of what a block was given or gave back, in which each traced array is a Given. */
static PyObject *
copy_of(PyObject *first, PyObject *x, PyObject *last)
{
    if (!Py_IS_TYPE(x, Array)) {
        if (PyDict_CheckExact(x) || PyList_CheckExact(x) || PyTuple_CheckExact(x)) {
            PyObject *made = copied_container(x, copy_of, NULL, NULL);
            return made != NULL || PyErr_Occurred() ? made : Py_NewRef(unknown);
        }
        int other = PyTuple_Check(x) || PyDict_Check(x) || Py_IS_TYPE(x, Deque);
        return other ? PyObject_CallOneArg(copied_, x) : Py_NewRef(x);
    }
    if (tape_of(x) == NULL) { /* left over from a trace that has ended, or of one that keeps less */
        return PyObject_CallOneArg(copied_, x);
    }
    PyObject *tape = Py_NewRef(FIELD(x, TAPE)), *made = NULL;
    PyObject *id = number_of(x, tape);
    PyObject *data = id == NULL ? NULL : Py_XNewRef(field(x, DATA, NULL));
    if (data != NULL && (made = PyType_GenericAlloc(Given, 0)) != NULL) {
        FIELD(made, GIVEN_ID) = Py_NewRef(id);
        FIELD(made, GIVEN_DATA) = Py_NewRef(data);
        if (is_there(data)) { /* it holds a number, and an array or a number */
            PyObject_GC_UnTrack(made);
        }
    }
    Py_DECREF(tape);
    Py_XDECREF(data);
    Py_XDECREF(id);
    return made;
}

static PyObject *
copied(PyObject *module, PyObject *x)
{
    return told("Given", Given) && told("copied", copied_) && told("deque", Deque) ? copy_of(NULL, x, NULL) : NULL;
}
