#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Signed overflow is undefined behaviour in C: the sanitizer reports it, a plain build says nothing. */
static int add_ints(int a, int b) { return a + b; }

static PyObject *add(PyObject *self, PyObject *args) {
    int a, b;
    (void)self;
    if (!PyArg_ParseTuple(args, "ii", &a, &b)) {
        return NULL;
    }
    return PyLong_FromLong(add_ints(a, b));
}

static PyMethodDef methods[] = {
    {"add", add, METH_VARARGS, "Add two C ints."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "overflow", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_overflow(void) { return PyModule_Create(&module); }
