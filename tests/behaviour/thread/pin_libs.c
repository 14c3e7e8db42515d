// VTSHIM_PIN_LIBS: threads that a library on it starts stay on their OS threads.
#include "../tls/open_lib.h"

static void* parks(void* arg) {
  for (int i = 0; i < 100; ++i) sleep_ms(1);
  return arg;
}

int main(int argc, char** argv) {
  (void)argc;
  if (!getenv("VTSHIM_PIN_LIBS")) {
    setenv("VTSHIM_PIN_LIBS", "libother*:libpin_aff*", 1);
    execv("/proc/self/exe", argv);
  }
  int (*start_affine)(pthread_t*, _Atomic long*);
  *(void**)&start_affine = find_in_lib(open_lib("pin_affine"), "start_affine");
  static _Atomic long moves;
  pthread_t affine[4], others[20];
  for (int i = 0; i < 20; ++i) others[i] = start_thread(parks, NULL);
  for (int i = 0; i < 4; ++i) CHECK_RC(start_affine(&affine[i], &moves), 0);
  for (int i = 0; i < 4; ++i) join_thread(affine[i]);
  for (int i = 0; i < 20; ++i) join_thread(others[i]);
  CHECK_EQ(moves, 0);
  return 0;
}
