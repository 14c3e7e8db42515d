/* The Python module `vtshim`: what a program may ask about the shim it may or may not run under. Stable ABI of 3.8 and later.

     vtshim.active()      -> bool   libvtshim.so is loaded and makes threads virtual
     vtshim.is_virtual()  -> bool   the calling thread is a virtual thread

   Both are False in a process without the shim. The module links against nothing: it looks the shim up in the process. */
#define Py_LIMITED_API 0x03080000
#include <Python.h>
#include <dlfcn.h>

static PyObject *ask(const char *name) {
  int (*question)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, name);
  return PyBool_FromLong(question && question());
}
static PyObject *active(PyObject *self, PyObject *unused) {
  (void)self, (void)unused;
  return ask("vtshim_active");
}
static PyObject *is_virtual(PyObject *self, PyObject *unused) {
  (void)self, (void)unused;
  return ask("vtshim_is_virtual");
}

static PyMethodDef methods[] = {
    {"active", active, METH_NOARGS, "Does this process run its threads as virtual threads?"},
    {"is_virtual", is_virtual, METH_NOARGS, "Is the calling thread a virtual thread?"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "vtshim", "Asks about the vtshim preload library.", 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_vtshim(void) { return PyModule_Create(&module); }
