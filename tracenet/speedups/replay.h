/* Replaying: see backward.py. */

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
