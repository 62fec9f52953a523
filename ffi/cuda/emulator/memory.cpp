/* libcuda: device memory by virtual address ranges, pinned memory and copies. */
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "state.h"

using namespace emulated;

#define ENTER                                        \
  if (int planted = enter(__func__)) return planted; \
  if (state().sticky) return state().sticky;

typedef uint64_t Address;

static constexpr size_t GRANULE = 2 << 20;

static std::map<Address, size_t> physical; /* handles */

static void *at(Address address) { return reinterpret_cast<void *>(address); }

API int cuMemGetInfo_v2(size_t *free, size_t *total) {
  ENTER
  *total = size_t(state().settings["memory"]);
  *free = *total - size_t(state().used);
  return SUCCESS;
}
API int cuMemGetAllocationGranularity(size_t *bytes, const void *, int) {
  ENTER
  *bytes = GRANULE;
  return SUCCESS;
}
API int cuMemAddressReserve(Address *start, size_t bytes, size_t, Address, unsigned long long) {
  ENTER
  if (bytes == 0 || bytes % GRANULE) return INVALID_VALUE;
  void *block = mmap(nullptr, bytes + GRANULE, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (block == MAP_FAILED) return OUT_OF_MEMORY;
  *start = (Address(block) + GRANULE - 1) / GRANULE * GRANULE;
  return SUCCESS;
}
API int cuMemAddressFree(Address, size_t) {
  ENTER
  return SUCCESS;
}
API int cuMemCreate(Address *handle, size_t bytes, const void *, unsigned long long) {
  ENTER
  if (bytes == 0 || bytes % GRANULE) return INVALID_VALUE;
  if (state().used + (long long)bytes > state().settings["memory"]) return OUT_OF_MEMORY;
  static Address next = 1;
  state().used += (long long)bytes;
  physical[*handle = next++] = bytes;
  return SUCCESS;
}
API int cuMemRelease(Address handle) {
  ENTER
  state().used -= (long long)physical[handle];
  physical.erase(handle);
  return SUCCESS;
}
API int cuMemMap(Address start, size_t bytes, size_t, Address handle, unsigned long long) {
  ENTER
  auto found = physical.find(handle);
  if (found == physical.end() || found->second != bytes) return INVALID_VALUE;
  return mprotect(at(start), bytes, PROT_READ | PROT_WRITE) ? INVALID_VALUE : SUCCESS;
}
API int cuMemSetAccess(Address start, size_t bytes, const void *, size_t count) {
  ENTER
  if (count != 1) return INVALID_VALUE;
  auto &live = state().device.live;
  auto after = live.upper_bound(start);
  if (after != live.begin()) {
    auto before = std::prev(after);
    if (before->first + before->second == start) {
      before->second += bytes; /* one range, so that blocks may cross its parts */
      return SUCCESS;
    }
  }
  live[start] = bytes;
  return SUCCESS;
}
API int cuMemUnmap(Address start, size_t bytes) {
  ENTER
  state().device.live.erase(start);
  return mprotect(at(start), bytes, PROT_NONE) ? INVALID_VALUE : SUCCESS;
}

/* --- pinned host memory --- */

API int cuMemHostAlloc(void **block, size_t bytes, unsigned) {
  ENTER
  *block = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (!*block) return OUT_OF_MEMORY;
  state().pinned.live[uintptr_t(*block)] = bytes;
  return SUCCESS;
}
API int cuMemFreeHost(void *block) {
  ENTER
  if (!state().pinned.live.erase(uintptr_t(block))) return INVALID_VALUE;
  free(block);
  return SUCCESS;
}

/* --- copies --- */

static int illegal(const char *what) {
  state().fault = std::string(what) + ": no address of the device";
  return ILLEGAL_ADDRESS;
}

static bool on_device(Address address, size_t bytes) {
  return state().device.holds(at(address), bytes);
}

API int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, void *) {
  RETURN_IF_IDLE ENTER
  state().uploads++;
  if (state().pinned.holds(from, bytes)) /* read when it runs */
    return submit([=] {
      if (!on_device(to, bytes)) return illegal("cuMemcpyHtoDAsync_v2");
      if (computes()) memcpy(at(to), from, bytes);
      return 0;
    });
  const char *first = static_cast<const char *>(from);
  std::vector<char> staged(first, first + bytes);
  return submit([to, staged] {
    if (!on_device(to, staged.size())) return illegal("cuMemcpyHtoDAsync_v2");
    memcpy(at(to), staged.data(), staged.size());
    return 0;
  });
}
API int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, void *) {
  RETURN_IF_IDLE ENTER
  state().downloads++;
  const bool pinned = state().pinned.holds(to, bytes);
  if (pinned && computes()) memset(to, 0xff, bytes); /* NaN until it runs */
  const int status = submit([=] {
    if (!on_device(from, bytes)) return illegal("cuMemcpyDtoHAsync_v2");
    if (computes()) memcpy(to, at(from), bytes);
    return 0;
  });
  if (pinned || status) return status;
  state().waits++; /* pageable: the driver waits */
  return drain(state().queued);
}
API int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void *) {
  RETURN_IF_IDLE ENTER
  return submit([=] {
    if (!on_device(to, bytes) || !on_device(from, bytes)) return illegal("cuMemcpyDtoDAsync_v2");
    if (computes()) memmove(at(to), at(from), bytes);
    return 0;
  });
}
API int cuMemsetD8Async(Address to, unsigned char value, size_t bytes, void *) {
  RETURN_IF_IDLE ENTER
  return submit([=] {
    if (!on_device(to, bytes)) return illegal("cuMemsetD8Async");
    if (computes()) memset(at(to), value, bytes);
    return 0;
  });
}
