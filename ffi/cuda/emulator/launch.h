/* What the emulated driver and a library of emulated kernels know of each other. */
#pragma once

/* One launch, and what went wrong in it. */
struct adl_launch {
  unsigned grid[3], block[3];
  unsigned shared_bytes;
  int order;        /* of threads and blocks: see host.h */
  int early_copies; /* cp.async lands at once instead of at its wait */
  char fault[256];  /* empty: none */
};

/* A value, or an array of values of one type. */
struct adl_parameter {
  unsigned short bytes;
  unsigned short alignment; /* of what it points to, or each of its pointers; 0: it has none */
};

struct adl_kernel {
  const char *name;
  int parameters;
  const adl_parameter *parameter;
  void (*run)(adl_launch *launch, void **parameters);
};

/* Exported by each library: its kernels. */
extern "C" const adl_kernel *adl_kernels(int *count);
