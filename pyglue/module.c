/* The Python module `vtshim`: what a program may ask about the shim it may or may not run under. Stable ABI of 3.8 and later.

     vtshim.active()      -> bool   libvtshim.so is loaded and makes threads virtual
     vtshim.is_virtual()  -> bool   the calling thread is a virtual thread
     vtshim.pin()         -> None   the calling thread stays on its OS thread, which runs no other virtual thread meanwhile, ...
     vtshim.unpin()       -> None   ... until as many unpin() as pin(). OSError: EAGAIN, no OS thread to be had; EINVAL, not pinned
     with vtshim.pinned(): ...      both

   In a process without the shim the questions say False and the others do nothing. The module links against nothing: it looks the shim
   up in the process. */
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

static PyObject *change(const char *name) {
  int (*call)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, name);
  int error = 0;
  if (call) {
    /* May move to another OS thread: others shall run meanwhile. */
    Py_BEGIN_ALLOW_THREADS
    error = call();
    Py_END_ALLOW_THREADS
  }
  if (error) {
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  Py_RETURN_NONE;
}
static PyObject *pin(PyObject *self, PyObject *unused) {
  (void)self, (void)unused;
  return change("vtshim_pin");
}
static PyObject *unpin(PyObject *self, PyObject *unused) {
  (void)self, (void)unused;
  return change("vtshim_unpin");
}

static PyMethodDef pinned_methods[] = {
    {"__enter__", pin, METH_NOARGS, "pin()"},
    {"__exit__", unpin, METH_VARARGS, "unpin()"},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot pinned_slots[] = {
    {Py_tp_doc, "with pinned(): the calling thread stays on its OS thread and has it to itself."},
    {Py_tp_methods, pinned_methods},
    {0, NULL},
};
static PyType_Spec pinned_spec = {"vtshim.pinned", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, pinned_slots};

static PyMethodDef methods[] = {
    {"active", active, METH_NOARGS, "Does this process run its threads as virtual threads?"},
    {"is_virtual", is_virtual, METH_NOARGS, "Is the calling thread a virtual thread?"},
    {"pin", pin, METH_NOARGS, "From here on the calling thread stays on its OS thread, which runs no other virtual thread meanwhile."},
    {"unpin", unpin, METH_NOARGS, "Takes one pin() back."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "vtshim", "Asks about the vtshim preload library, and pins threads.", 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_vtshim(void) {
  PyObject *m = PyModule_Create(&module), *type = m ? PyType_FromSpec(&pinned_spec) : NULL;
  if (!type || PyModule_AddObject(m, "pinned", type)) {
    Py_XDECREF(type);
    Py_XDECREF(m);
    return NULL;
  }
  return m;
}
