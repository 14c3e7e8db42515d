// uselocale(3), isalpha(3): a new thread starts with the global locale whatever its creator or the last user of its
// stack has installed; the ctype tables and MB_CUR_MAX follow each thread's own locale across parks.
#include "../check.h"

#include <ctype.h>
#include <locale.h>
#include <sched.h>
#include <wchar.h>

enum { kThreads = 20, kRounds = 10 };

static locale_t g_utf8;
static locale_t g_c;

static void check_ctype(void) {
  CHECK(isalpha('x') && !isalpha('7') && isdigit('7') && isspace('\t') && isupper('Q') && !isupper('q'));
  CHECK_EQ(toupper('a'), 'A');
  CHECK_EQ(tolower('A'), 'a');
  CHECK_EQ(strtol(" 42 ", NULL, 10), 42);
  CHECK_EQ(strcasecmp("Hello", "hELLO"), 0);
}

static void check_locale(int utf8) {
  check_ctype();
  CHECK_EQ(MB_CUR_MAX, utf8 ? 6 : 1);
  mbstate_t state;
  memset(&state, 0, sizeof state);
  wchar_t wide = 0;
  size_t length = mbrtowc(&wide, "\xc3\xa4", 2, &state);
  if (utf8) {
    CHECK_EQ(length, 2);
    CHECK_EQ(wide, 0xe4);
  } else {
    CHECK(length != 2);
  }
}

static void* run(void* arg) {
  // The very first thing: tables before any other libc call of this thread.
  check_ctype();
  CHECK(uselocale((locale_t)0) == LC_GLOBAL_LOCALE);
  check_locale(0);
  int utf8 = (long)arg % 2;
  CHECK(uselocale(utf8 ? g_utf8 : g_c) == LC_GLOBAL_LOCALE);
  for (int i = 0; i < 20; ++i) {
    check_locale(utf8);
    if (i % 5)
      sched_yield();
    else
      usleep(1);
    CHECK(uselocale((locale_t)0) == (utf8 ? g_utf8 : g_c));
  }
  if ((long)arg % 4 == 1) uselocale(LC_GLOBAL_LOCALE);
  return NULL;
}

int main(void) {
  g_utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
  if (g_utf8 == (locale_t)0) SKIP("no C.UTF-8");
  g_c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  CHECK(g_c != (locale_t)0);
  CHECK(uselocale(g_utf8) == LC_GLOBAL_LOCALE);  // the creator's own isn't inherited
  for (int round = 0; round < kRounds; ++round) {
    pthread_t threads[kThreads];
    for (long i = 0; i < kThreads; ++i) threads[i] = start_thread(run, (void*)i);
    for (int i = 0; i < kThreads; ++i) join_thread(threads[i]);
    check_locale(1);
  }
  return 0;
}
