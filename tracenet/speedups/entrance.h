/* Arrays that come in and go out: see recording/entrance.py. */

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
