// A library with TLS of three models and a destructor at each thread's end. For tls_models.c.
#define MODEL(name) __attribute__((tls_model(name)))
MODEL("global-dynamic") __thread int t_models_global = 11;
static MODEL("local-dynamic") __thread int t_local = 12;
static MODEL("local-dynamic") __thread char t_local_text[300] = "local";
static MODEL("initial-exec") __thread int t_initial = 13;
static MODEL("initial-exec") __thread int t_registered;

extern int __cxa_thread_atexit_impl(void (*)(void*), void*, void*);
extern void* __dso_handle;
int models_use(int value, int* ended);

static void at_end(void* ended) { __atomic_fetch_add((int*)ended, t_local - 12 == t_models_global - 11 ? 1 : 1000, __ATOMIC_RELAXED); }

// What the thread's values were (-1: they don't agree), then sets them all.
int models_use(int value, int* ended) {
  int was = t_models_global - 11;
  if (t_local - 12 != was || t_initial - 13 != was || (t_local_text[0] != 'l') != (was != 0)) was = -1;
  t_models_global = value + 11;
  t_local = value + 12;
  t_initial = value + 13;
  t_local_text[0] = value ? 'x' : 'l';
  if (ended && !t_registered) {
    t_registered = 1;
    __cxa_thread_atexit_impl(at_end, ended, &__dso_handle);
  }
  return was;
}
