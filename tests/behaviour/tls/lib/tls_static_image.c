// A library whose TLS is static (initial-exec): ld.so must put its initial image into every thread that exists already.
// For tls_dlopen.c.
__attribute__((tls_model("initial-exec"))) static __thread int t_value = 0x5eed;
__attribute__((tls_model("initial-exec"))) static __thread char t_text[64] = "static image";
__attribute__((tls_model("initial-exec"))) static __thread int t_zero;

int* tls_value(void);
char* tls_text(void);
int* tls_zero(void);

int* tls_value(void) { return &t_value; }
char* tls_text(void) { return t_text; }
int* tls_zero(void) { return &t_zero; }
