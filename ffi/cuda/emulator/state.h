/*
 * What the emulated driver and the emulated cuBLAS share: a device whose work is as late as a real
 * one's may be. Work is queued, and runs when the host waits for it, so that a host which reads too
 * early, or uses a pinned block again before its copy has run, gets wrong values.
 */
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace emulated {

enum Status {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  MISALIGNED_ADDRESS = 716,
  LAUNCH_FAILED = 719,
};

/* Blocks of memory by their starts. */
struct Blocks {
  std::map<uintptr_t, size_t> live;
  bool holds(const void *pointer, size_t bytes) const;
};

struct State {
  std::map<std::string, long long> settings;
  std::map<std::string, long> calls, kernels;
  std::string fail_name;
  long fail_after = 0;
  int fail_status = 0;
  Blocks device, pinned;
  long long used = 0; /* bytes of the device's memory */
  std::vector<std::function<int()>> queue;
  int sticky = 0;
  std::string fault; /* of the last asynchronous error */
  long waits = 0, empty_waits = 0, uploads = 0, downloads = 0, launches = 0;
  long done = 0, queued = 0; /* items of work */
};

State &state();

/* Counts a call; returns the status that a test has planted for it. */
int enter(const char *name);

/* Whether calls that only queue work or wait for it return at once: for the host's own time. */
extern bool idle;
#define RETURN_IF_IDLE \
  if (idle) return 0;

/* Queues work, or runs it now where the setting "early" is on; returns a sticky error. */
int submit(std::function<int()> work);

/* Runs queued work up to item `until`; returns a sticky error. */
int drain(long until);

/* Whether kernels and copies compute: off where only the host's time counts. */
bool computes();

}  // namespace emulated
