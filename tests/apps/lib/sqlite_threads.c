// SQLite from many threads, each with a connection of its own to one file in WAL mode: writers count in transactions (busy ones wait in
// SQLite's busy handler), readers see sums that fit; then one connection for all threads (serialized mode).
#include "../../behaviour/check.h"

#include <sqlite3.h>

enum { kWriters = 16, kReaders = 16, kRounds = 30, kRows = 8 };
static const char* g_path;
static sqlite3* g_shared;

static void run(sqlite3* db, const char* sql) {
  char* error = NULL;
  int r = sqlite3_exec(db, sql, NULL, NULL, &error);
  if (r != SQLITE_OK) check_fail(__FILE__, __LINE__, 0, "%s: %d %s", sql, r, error);
}

static int number(sqlite3* db, const char* sql) {
  sqlite3_stmt* s;
  CHECK_EQ(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
  CHECK_EQ(sqlite3_step(s), SQLITE_ROW);
  int n = sqlite3_column_int(s, 0);
  CHECK_EQ(sqlite3_finalize(s), SQLITE_OK);
  return n;
}

static sqlite3* opened(void) {
  sqlite3* db;
  CHECK_EQ(sqlite3_open(g_path, &db), SQLITE_OK);
  CHECK_EQ(sqlite3_busy_timeout(db, 60000), SQLITE_OK);
  return db;
}

static void* writer(void* arg) {
  sqlite3* db = opened();
  for (int i = 0; i < kRounds; ++i) {
    char sql[200];
    snprintf(sql, sizeof sql, "BEGIN IMMEDIATE; UPDATE t SET n = n + 1; INSERT INTO log VALUES (%ld, %d); COMMIT", (long)arg, i);
    run(db, sql);
  }
  CHECK_EQ(sqlite3_close(db), SQLITE_OK);
  return NULL;
}

static void* reader(void* arg) {
  sqlite3* db = opened();
  for (int i = 0, last = 0; i < kRounds; ++i) {
    int sum = number(db, "SELECT sum(n) - (SELECT count(*) FROM log) * (SELECT count(*) FROM t) FROM t");
    CHECK_EQ(sum, 0);  // one statement sees one state
    int now = number(db, "SELECT max(n) FROM t");
    CHECK(now >= last);
    last = now;
  }
  CHECK_EQ(sqlite3_close(db), SQLITE_OK);
  return arg;
}

static void* sharer(void* arg) {
  for (int i = 0; i < kRounds; ++i) run(g_shared, "UPDATE t SET n = n + 1");
  return arg;
}

static void all(int count, void* (*body)(void*), pthread_t* threads) {
  for (long i = 0; i < count; ++i) threads[i] = start_thread(body, (void*)i);
}

int main(int argc, char** argv) {
  CHECK_EQ(argc, 2);
  CHECK(sqlite3_threadsafe());
  g_path = argv[1];
  sqlite3* db = opened();
  run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE t (n); CREATE TABLE log (who, what)");
  for (int i = 0; i < kRows; ++i) run(db, "INSERT INTO t VALUES (0)");
  pthread_t threads[kWriters + kReaders];
  all(kWriters, writer, threads);
  all(kReaders, reader, threads + kWriters);
  for (int i = 0; i < kWriters + kReaders; ++i) join_thread(threads[i]);
  CHECK_EQ(number(db, "SELECT min(n) FROM t"), kWriters * kRounds);
  CHECK_EQ(number(db, "SELECT count(DISTINCT who * 1000 + what) FROM log"), kWriters * kRounds);
  g_shared = db;
  all(kWriters, sharer, threads);
  for (int i = 0; i < kWriters; ++i) join_thread(threads[i]);
  CHECK_EQ(number(db, "SELECT max(n) FROM t"), 2 * kWriters * kRounds);
  CHECK_EQ(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
  CHECK_EQ(sqlite3_close(db), SQLITE_OK);
  printf("%d\n", 2 * kWriters * kRounds + 2 * kReaders * kRounds);
  return 0;
}
