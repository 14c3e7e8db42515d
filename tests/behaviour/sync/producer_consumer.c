// pthread_cond_wait(3): bounded buffer, 4 producers and 4 consumers, two conditions on one mutex; every item arrives
// exactly once and each producer's items in order at each consumer.
#include "../check.h"

enum { kProducers = 4, kConsumers = 4, kItems = 5000, kCapacity = 8 };

static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t g_not_full = PTHREAD_COND_INITIALIZER;
static pthread_cond_t g_not_empty = PTHREAD_COND_INITIALIZER;
static int g_buffer[kCapacity];
static unsigned g_head;
static unsigned g_tail;
static unsigned char g_seen[kProducers * kItems];

static void put(int item) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  while (g_tail - g_head == kCapacity) CHECK_RC(pthread_cond_wait(&g_not_full, &g_mutex), 0);
  g_buffer[g_tail++ % kCapacity] = item;
  CHECK_RC(pthread_cond_signal(&g_not_empty), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
}

static int get(void) {
  CHECK_RC(pthread_mutex_lock(&g_mutex), 0);
  while (g_tail == g_head) CHECK_RC(pthread_cond_wait(&g_not_empty, &g_mutex), 0);
  int item = g_buffer[g_head++ % kCapacity];
  CHECK_RC(pthread_cond_signal(&g_not_full), 0);
  CHECK_RC(pthread_mutex_unlock(&g_mutex), 0);
  return item;
}

static void* produce(void* arg) {
  int me = (int)(long)arg;
  for (int i = 0; i < kItems; ++i) put(me * kItems + i);
  return NULL;
}

static void* consume(void* arg) {
  int last[kProducers];
  long count = 0;
  (void)arg;
  for (int i = 0; i < kProducers; ++i) last[i] = -1;
  int item;
  while ((item = get()) >= 0) {
    int producer = item / kItems;
    CHECK(item % kItems > last[producer]);
    last[producer] = item % kItems;
    CHECK_EQ(__atomic_exchange_n(&g_seen[item], 1, __ATOMIC_RELAXED), 0);
    ++count;
  }
  return (void*)count;
}

int main(void) {
  pthread_t producers[kProducers];
  pthread_t consumers[kConsumers];
  for (int i = 0; i < kConsumers; ++i) consumers[i] = start_thread(consume, NULL);
  for (long i = 0; i < kProducers; ++i) producers[i] = start_thread(produce, (void*)i);
  for (int i = 0; i < kProducers; ++i) join_thread(producers[i]);
  for (int i = 0; i < kConsumers; ++i) put(-1);
  long count = 0;
  for (int i = 0; i < kConsumers; ++i) count += (long)join_thread(consumers[i]);
  CHECK_EQ(count, kProducers * kItems);
  return 0;
}
