// A library with large dynamic TLS (global-dynamic): each thread's block is allocated at its first use.
// For tls_dlopen.c.
__thread int t_dynamic_value = 0x5eed;
__thread char t_dynamic_text[5000] = "dynamic image";
__thread int t_dynamic_zero;

int* tls_value(void);
char* tls_text(void);
int* tls_zero(void);

int* tls_value(void) { return &t_dynamic_value; }
char* tls_text(void) { return t_dynamic_text; }
int* tls_zero(void) { return &t_dynamic_zero; }
