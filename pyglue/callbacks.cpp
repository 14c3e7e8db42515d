// What is asked at each park is the C stack itself, by its unwind tables: between two activations of CPython's interpreter loop, are there
// C functions other than those by which the loop calls a Python function? So nothing of CPython's frame layout is needed, which differs
// between any two minor versions, and 3.8 to 3.10, where each Python call is a C call, are no special case.
//
// Which functions those are (`plain`) is learned from the interpreter that runs: the first creation of a thread by Python code, which
// holds the GIL, runs kLessons, whose calls are all of Python functions by Python code, and samples its stack in each. It
// differs by version and by how the compiler inlined; functions are known by where their unwind entries start.
//
// Until then, as in programs that embed Python and create their threads in C without the GIL, none is known to be plain: every second
// activation counts as a callback. On a thread that Python didn't start, the first one does.
//
// Can't be told: C functions that leave no frame since they end in a jump into the interpreter (operator.call), and stacks with code
// that has no unwind tables. Counted as callbacks, since C functions do call back there: `Class()` with an __init__ in Python, a
// property, a class body, an import; asyncio's tasks.
#include "pyglue/callbacks.h"

#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

#include <atomic>
#include <initializer_list>

#include "api.h"
#include "base/config.h"

namespace vt::python {
namespace {

struct PyObject;
struct MethodDef {
  const char* name;
  PyObject* (*call)(PyObject*, PyObject*);
  int flags;
  const char* doc;
};
constexpr int kNoArgs = 4, kFileInput = 257;

constexpr char kLessons[] = R"(
def leaf(): sample()
def one(x): leaf()
def many(a, b=1, *c, d=2, **e): leaf()
def call(f, *a, **k): f(*a, **k)
def spread(f, *a): f(*a)
def closure():
    x = 1
    def inner(y=2): return leaf(), x
    inner()
    call(inner)
class Some:
    def none(self): leaf()
    def all(self, a=0, *b, c=1, **d): leaf()
    def through(self): self.none(); self.all(1); self.all(a=1); self.all(*(1, 2), **{'z': 3})
    @staticmethod
    def static(x=1): leaf()
    @classmethod
    def of_class(cls, x=1): leaf()
def gen():
    leaf()
    yield 1
    one(1)
def gen_from(): yield from gen()
some = Some()
for _ in range(3):
    leaf(); one(1); one(x=1); many(1); many(1, 2, 3, d=4, e=5)
    for f in one, many, some.all: call(f, 1); spread(f, 1)
    for f in leaf, some.none, some.all, some.through, some.static, some.of_class, Some.static, Some.of_class: f(); call(f); spread(f)
    call(many, 1, d=2); call(some.all, 1, c=2); call(Some.none, some); some.through(); closure()
    some.none(); some.all(); some.all(1, 2, c=3); some.static(1); some.of_class(1); Some.of_class(x=1)
    for _ in gen(): pass
    for _ in gen_from(): pass
)";

uintptr_t loop = 0;  // the interpreter's, _PyEval_EvalFrameDefault
constexpr int kMostPlain = 64;
uintptr_t plain[kMostPlain];
std::atomic<int> plain_count{0};
void* (*python_start)(void*) = nullptr;  // of the threads that Python starts
enum class Known : int { kNothing, kUnderWay, kLoop, kAll };
std::atomic<Known> known{Known::kNothing};

bool is_plain(uintptr_t function) noexcept {
  for (int i = plain_count.load(std::memory_order_acquire); i-- > 0;)
    if (plain[i] == function) return true;
  return false;
}

/// @thread vthread, in park()
int called_back() {
  struct State {
    bool in_python = false, foreign = false, found = false;
  } state;
  backtrace_visit(
      [](uintptr_t, uintptr_t function, void* arg) {
        auto* s = static_cast<State*>(arg);
        if (function == loop) {
          s->found = s->foreign;
          s->in_python = true;
        } else if (s->in_python && !s->foreign) {
          s->foreign = !is_plain(function);
        }
        return !s->found;
      },
      &state);
  return state.found || (state.in_python && thread_start_routine() != python_start);
}

/// kLessons' leaf. With the GIL.
extern "C" PyObject* vt_python_sample(PyObject*, PyObject*) {
  struct State {
    bool in_python = false;
    int count = 0;
    uintptr_t between[32];
  } state;
  backtrace_visit(
      [](uintptr_t, uintptr_t function, void* arg) {
        auto* s = static_cast<State*>(arg);
        if (function == loop) {  // all since the last activation are plain
          for (int i = 0; i < s->count; ++i) {
            int n = plain_count.load(std::memory_order_relaxed);
            if (n == kMostPlain || is_plain(s->between[i])) continue;
            plain[n] = s->between[i];
            plain_count.store(n + 1, std::memory_order_release);
          }
          s->count = 0;
          s->in_python = true;
        } else if (function == (uintptr_t)&prepare) {
          return false;
        } else if (s->in_python && s->count < 32) {
          s->between[s->count++] = function;
        }
        return true;
      },
      &state);
  auto* none = (PyObject*)dlsym(RTLD_DEFAULT, "_Py_NoneStruct");
  reinterpret_cast<void (*)(PyObject*)>(dlsym(RTLD_DEFAULT, "Py_IncRef"))(none);
  return none;
}

template <class Result, class... Arguments>
Result api(const char* name, Arguments... arguments) noexcept {
  auto f = reinterpret_cast<Result (*)(Arguments...)>(dlsym(RTLD_DEFAULT, name));
  return f ? f(arguments...) : Result();
}

/// With the GIL. False: an exception was raised, and printed.
bool learn() noexcept {
  static MethodDef sample{"sample", vt_python_sample, kNoArgs, nullptr};
  auto* globals = api<PyObject*>("PyDict_New");
  auto* function = api<PyObject*>("PyCFunction_NewEx", &sample, (PyObject*)nullptr, (PyObject*)nullptr);
  auto* code = api<PyObject*>("Py_CompileString", (const char*)kLessons, "<vtshim>", kFileInput);
  auto* name = api<PyObject*>("PyUnicode_FromString", "vtshim");
  PyObject* result = nullptr;
  if (globals && function && code && name && api<int>("PyDict_SetItemString", globals, "__builtins__", api<PyObject*>("PyEval_GetBuiltins")) == 0 &&
      api<int>("PyDict_SetItemString", globals, "__name__", name) == 0 && api<int>("PyDict_SetItemString", globals, "sample", function) == 0)
    result = api<PyObject*>("PyEval_EvalCode", code, globals, globals);
  bool ok = result != nullptr;
  if (!ok) api<int>("PyErr_Print");
  for (PyObject* p : {result, code, function, name, globals})
    if (p) api<int>("Py_DecRef", p);
  return ok;
}

/// Is it worth a look-up, which takes ld.so's lock? At the first thread, and when a thread starts in what may be CPython.
bool may_be_python(void* start) noexcept {
  static std::atomic<bool> asked{false};
  if (!asked.exchange(true, std::memory_order_relaxed)) return true;
  link_map* object = library_around(start);
  const char* slash = object ? strrchr(object->l_name, '/') : nullptr;
  return slash && matches("libpython*:python*", slash + 1);
}

}  // namespace

__attribute__((noinline)) void prepare(void* (*start)(void*)) noexcept {
  Known was = known.load(std::memory_order_acquire);
  if (was == Known::kAll || was == Known::kUnderWay || !known.compare_exchange_strong(was, Known::kUnderWay)) return;
  if (was == Known::kNothing) {
    if (!may_be_python((void*)start)) return known.store(Known::kNothing, std::memory_order_release);
    loop = (uintptr_t)dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault");
    if (!loop) return known.store(Known::kNothing, std::memory_order_release);
    if (!backtrace_prepare()) complain("VTSHIM_PIN=callback: libgcc_s.so.1 can't be loaded; no callback is seen");
    set_callback_hook(called_back);
    was = Known::kLoop;
  }
  if (library_around((void*)start) == library_around((void*)loop)) {
    python_start = start;
    if (api<int>("PyGILState_Check")) {
      if (!learn()) complain("VTSHIM_PIN=callback: this Python can't be asked; every nested activation counts as a callback");
      was = Known::kAll;
    }
  }
  known.store(was, std::memory_order_release);
}

}  // namespace vt::python
