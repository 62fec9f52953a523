/*
 * libnvrtc with the real ABI, which compiles nothing: for tests of what is around it. An image is the
 * path of a library of emulated kernels, FAMILY.so beside this library, or else names its source and
 * its target. A source with "oops" does not compile. One with "together" waits until another is being
 * compiled too. The call that fake_nvrtc_fail names fails.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS, OUT_OF_MEMORY = 1, INVALID_PROGRAM = 4, COMPILATION = 6 };

#define ENTER \
  if (!strcmp(__func__, failing)) return OUT_OF_MEMORY;

typedef struct {
  char source[1000], name[100], log[200], image[4096];
} Program;

static atomic_int running, compiled, most_at_once, live;
static char failing[100];

/* How many programs have been compiled, the most at once, and how many are not destroyed. */
void fake_nvrtc_counts(int *counts) {
  counts[0] = compiled;
  counts[1] = most_at_once;
  counts[2] = live;
}

/* Makes every call of a function fail; "": none. */
void fake_nvrtc_fail(const char *name) { snprintf(failing, sizeof failing, "%s", name); }

int nvrtcVersion(int *major, int *minor) {
  ENTER
  *major = 13, *minor = 0;
  return SUCCESS;
}
int nvrtcGetNumSupportedArchs(int *count) {
  ENTER
  *count = 3;
  return SUCCESS;
}
int nvrtcGetSupportedArchs(int *list) {
  ENTER
  list[0] = 80, list[1] = 90, list[2] = 120;
  return SUCCESS;
}
int nvrtcCreateProgram(Program **program, const char *source, const char *name, int headers,
                       const char *const *texts, const char *const *names) {
  ENTER
  Program *made = calloc(1, sizeof *made);
  snprintf(made->source, sizeof made->source, "%s", source);
  snprintf(made->name, sizeof made->name, "%s", name);
  for (int i = 0; i < headers; i++)
    if (!texts[i] || !names[i]) return INVALID_PROGRAM;
  *program = made, live++;
  return SUCCESS;
}
int nvrtcDestroyProgram(Program **program) {
  ENTER
  live--;
  free(*program);
  *program = NULL;
  return SUCCESS;
}
/* Sets the image to the library that stands for it; 0 if there is none. */
static int find_library(Program *p) {
  Dl_info own;
  if (!dladdr((void *)nvrtcVersion, &own)) return 0;
  const char *end = strrchr(own.dli_fname, '/');
  const int folder = end ? (int)(end - own.dli_fname) : 0, family = (int)strcspn(p->name, ".");
  snprintf(p->image, sizeof p->image, "%.*s/%.*s.so", folder, own.dli_fname, family, p->name);
  return access(p->image, R_OK) == 0;
}

int nvrtcCompileProgram(Program *p, int count, const char *const *options) {
  ENTER
  compiled++;
  const int now = ++running;
  if (now > most_at_once) most_at_once = now;
  for (int i = 0; strstr(p->source, "together") && most_at_once < 2 && i < 2000; i++) usleep(1000);
  running--;
  if (!find_library(p))
    snprintf(p->image, sizeof p->image, "%s %s", p->name, count > 0 ? options[0] : "");
  if (!strstr(p->source, "oops")) return SUCCESS;
  snprintf(p->log, sizeof p->log, "%s(1): error: oops", p->name);
  return COMPILATION;
}
int nvrtcGetProgramLogSize(Program *p, size_t *bytes) {
  ENTER
  *bytes = strlen(p->log) + 1;
  return SUCCESS;
}
int nvrtcGetProgramLog(Program *p, char *log) {
  ENTER
  strcpy(log, p->log);
  return SUCCESS;
}
int nvrtcGetCUBINSize(Program *p, size_t *bytes) {
  ENTER
  *bytes = strlen(p->image) + 1;
  return SUCCESS;
}
int nvrtcGetCUBIN(Program *p, char *image) {
  ENTER
  strcpy(image, p->image);
  return SUCCESS;
}
int nvrtcGetPTXSize(Program *p, size_t *bytes) {
  ENTER
  return nvrtcGetCUBINSize(p, bytes);
}
int nvrtcGetPTX(Program *p, char *image) {
  ENTER
  return nvrtcGetCUBIN(p, image);
}
