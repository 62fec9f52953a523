/*
 * A file that shrinks while it is mapped raises SIGBUS where its missing pages are read. One line
 * that names the file replaces the runtime's crash report. The handler calls only what POSIX allows
 * in one, and keeps its buffers outside the stack, which may be small.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "adl.h"

static struct sigaction runtime;
static char maps[4096], path[4096];

struct reader {
  int file;
  ssize_t at, size;
};

/* The next character of /proc/self/maps, or -1. */
static int next(struct reader *r) {
  if (r->at >= r->size) {
    r->at = 0;
    r->size = read(r->file, maps, sizeof maps);
    if (r->size <= 0) return -1;
  }
  return (unsigned char)maps[r->at++];
}

/* A hexadecimal number and the character after it. */
static uintptr_t number(struct reader *r, int *after) {
  uintptr_t value = 0;
  for (;;) {
    const int c = next(r);
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    *after = c;
    if (digit < 0) return value;
    value = value * 16 + (uintptr_t)digit;
  }
}

/* Sets `path` to the file that is mapped at an address and returns its length; 0 without one. */
static size_t mapped_file(uintptr_t address) {
  struct reader r = {open("/proc/self/maps", O_RDONLY | O_CLOEXEC), 0, 0};
  int c = 0;
  while (r.file >= 0 && c >= 0) {
    const uintptr_t start = number(&r, &c), end = number(&r, &c);
    size_t length = 0;
    while (c >= 0 && c != '\n') { /* permissions, offset, device and inode hold no slash */
      c = next(&r);
      if (c < ' ' || (c != '/' && length == 0)) continue;
      if (length < sizeof path) path[length++] = (char)c;
    }
    if (start <= address && address < end) return length;
  }
  return 0;
}

static void say(const char *text, size_t length) {
  while (length > 0) {
    const ssize_t written = write(STDERR_FILENO, text, length);
    if (written <= 0) return;
    text += written;
    length -= (size_t)written;
  }
}

#define SAY(text) say(text, sizeof(text) - 1)

static void on_bus_error(int signal, siginfo_t *info, void *context) {
  (void)context;
  const size_t length = mapped_file((uintptr_t)info->si_addr);
  if (length == 0) { /* not a file's: back to the instruction, which raises it for the runtime */
    sigaction(signal, &runtime, NULL);
    return;
  }
  if (isatty(STDERR_FILENO)) SAY("\r\033[2K"); /* the live line */
  SAY("error  ");
  say(path, length);
  SAY(": was truncated, or became unreadable, while it was in use\n");
  _exit(1);
}

/* Reports bus errors from now on; returns 0, or -1 where the system refuses. */
ADL_API int adl_report_bus_errors(void) {
  static int installed;
  if (installed) return ADL_OK;
  struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset(&action.sa_mask);
  const int status = sigaction(SIGBUS, &action, &runtime);
  installed = status == 0;
  return status;
}
