// Does nothing: what a preload adds to a program's start and end is measured on it.
int main(void) { return 0; }
