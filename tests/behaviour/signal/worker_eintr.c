// As main_eintr.c, on another thread.
#define ON_WORKER
#include "main_eintr.c"
