/* Which call of the program an operation belongs to: see recording/tape.py. */

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
