/* libcuda with the real ABI: device, context, streams, events, modules and launches. */
#include <chrono>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>

#include "launch.h"
#include "state.h"

using namespace emulated;

#define ENTER                                         \
  if (int planted = enter(__func__)) return planted;

typedef uint64_t Address;

namespace {

struct Function {
  const adl_kernel *kernel;
  int shared_limit = 48 << 10;
};

struct Module {
  void *library;
  std::map<std::string, Function> functions;
};

struct Event {
  long position = 0;
  double milliseconds = 0;
};

constexpr size_t MOST_PARAMETER_BYTES = 4096;
constexpr int SHARED_OPTIN = 99 << 10; /* the least of capability 8.0 to 12.0 */
thread_local bool has_context = false;

double now() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

/* A launch with its parameters copied, as the driver does during the call. */
struct Queued {
  const adl_kernel *kernel;
  adl_launch launch;
  std::vector<uint64_t> values; /* of all parameters, each from a word of its own */
};

size_t words_of(const adl_parameter &parameter) { return (parameter.bytes + 7u) / 8; }

int fault(int status, const std::string &text) {
  state().fault = text;
  return status;
}

int run_kernel(Queued &work) {
  const adl_kernel &kernel = *work.kernel;
  std::vector<void *> parameters;
  size_t at = 0;
  for (int i = 0; i < kernel.parameters; i++) {
    const adl_parameter &parameter = kernel.parameter[i];
    parameters.push_back(&work.values[at]);
    for (const size_t end = at + words_of(parameter); at < end; at++) {
      const uint64_t value = work.values[at];
      if (parameter.alignment == 0 || value == 0) continue;
      const std::string where = std::string(kernel.name) + ", parameter " + std::to_string(i);
      if (value % parameter.alignment) return fault(MISALIGNED_ADDRESS, where + " is misaligned");
      if (!state().device.holds(reinterpret_cast<void *>(value), 1))
        return fault(ILLEGAL_ADDRESS, where + " is no address of the device");
    }
  }
  if (!computes()) return SUCCESS;
  work.launch.order = int(state().settings["order"]);
  work.launch.early_copies = int(state().settings["early"]);
  kernel.run(&work.launch, parameters.data());
  if (work.launch.fault[0] == 0) return SUCCESS;
  const bool misaligned = strstr(work.launch.fault, "misaligned") != nullptr;
  return fault(misaligned ? MISALIGNED_ADDRESS : LAUNCH_FAILED,
               std::string(kernel.name) + ": " + work.launch.fault);
}

}  // namespace

/* --- device and context --- */

API int cuInit(unsigned) {
  ENTER
  return state().settings["devices"] == 0 ? NO_DEVICE : SUCCESS;
}
API int cuDriverGetVersion(int *version) {
  ENTER
  *version = int(state().settings["version"]);
  return SUCCESS;
}
API int cuDeviceGetCount(int *count) {
  ENTER
  *count = int(state().settings["devices"]);
  return SUCCESS;
}
API int cuDeviceGet(int *device, int ordinal) {
  ENTER
  if (ordinal < 0 || ordinal >= state().settings["devices"]) return INVALID_DEVICE;
  *device = ordinal;
  return SUCCESS;
}
API int cuDeviceGetName(char *name, int length, int) {
  ENTER
  snprintf(name, size_t(length), "emulated device");
  return SUCCESS;
}
API int cuDeviceTotalMem_v2(size_t *bytes, int) {
  ENTER
  *bytes = size_t(state().settings["memory"]);
  return SUCCESS;
}
API int cuDeviceGetAttribute(int *value, int attribute, int) {
  ENTER
  const int capability = int(state().settings["capability"]);
  switch (attribute) {
    case 16: *value = int(state().settings["multiprocessors"]); break;
    case 75: *value = capability / 10; break;
    case 76: *value = capability % 10; break;
    case 97: *value = SHARED_OPTIN; break;
    case 102: *value = int(state().settings["virtual"]); break;
    default: return INVALID_VALUE;
  }
  return SUCCESS;
}
API int cuDevicePrimaryCtxRetain(void **context, int device) {
  ENTER
  *context = reinterpret_cast<void *>(uintptr_t(device) + 1);
  return SUCCESS;
}
API int cuDevicePrimaryCtxRelease_v2(int) {
  ENTER
  return SUCCESS;
}
API int cuCtxSetCurrent(void *context) {
  ENTER
  has_context = context != nullptr;
  return SUCCESS;
}

/* --- streams and events --- */

#define NEED_CONTEXT                           \
  if (!has_context) return INVALID_CONTEXT;    \
  if (state().sticky) return state().sticky;

API int cuStreamCreate(void **stream, unsigned) {
  ENTER NEED_CONTEXT
  *stream = new char;
  return SUCCESS;
}
API int cuStreamDestroy_v2(void *stream) {
  ENTER
  delete static_cast<char *>(stream);
  return SUCCESS;
}
API int cuStreamSynchronize(void *) {
  RETURN_IF_IDLE ENTER NEED_CONTEXT
  State &s = state();
  s.waits++;
  if (s.queue.empty()) s.empty_waits++;
  return drain(s.queued);
}
API int cuEventCreate(void **event, unsigned) {
  ENTER NEED_CONTEXT
  *event = new Event;
  return SUCCESS;
}
API int cuEventDestroy_v2(void *event) {
  ENTER
  delete static_cast<Event *>(event);
  return SUCCESS;
}
API int cuEventRecord(void *event, void *) {
  RETURN_IF_IDLE ENTER NEED_CONTEXT
  Event *at = static_cast<Event *>(event);
  const int status = submit([at] {
    at->milliseconds = now();
    return SUCCESS;
  });
  at->position = state().queued;
  return status;
}
API int cuEventQuery(void *event) {
  ENTER NEED_CONTEXT
  return static_cast<Event *>(event)->position <= state().done ? SUCCESS : NOT_READY;
}
API int cuEventSynchronize(void *event) {
  RETURN_IF_IDLE ENTER NEED_CONTEXT
  State &s = state();
  const long position = static_cast<Event *>(event)->position;
  s.waits++;
  if (position <= s.done) s.empty_waits++;
  return drain(position);
}
API int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
  ENTER NEED_CONTEXT
  const Event *a = static_cast<Event *>(from), *b = static_cast<Event *>(to);
  if (a->position > state().done || b->position > state().done) return NOT_READY;
  *milliseconds = float(b->milliseconds - a->milliseconds);
  return SUCCESS;
}

/* --- modules and launches --- */

/* `image`: the path of a library of emulated kernels, in place of a CUBIN. */
API int cuModuleLoadData(void **module, const void *image) {
  ENTER NEED_CONTEXT
  void *library = dlopen(static_cast<const char *>(image), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "emulated device: %s\n", dlerror());
    return INVALID_IMAGE;
  }
  auto list = reinterpret_cast<decltype(&adl_kernels)>(dlsym(library, "adl_kernels"));
  if (!list) return INVALID_IMAGE;
  auto loaded = new Module{library, {}};
  int count = 0;
  const adl_kernel *kernels = list(&count);
  for (int i = 0; i < count; i++) loaded->functions[kernels[i].name] = Function{kernels + i};
  *module = loaded;
  return SUCCESS;
}
API int cuModuleUnload(void *module) {
  ENTER
  delete static_cast<Module *>(module);
  return SUCCESS;
}
API int cuModuleGetFunction(void **function, void *module, const char *name) {
  ENTER NEED_CONTEXT
  auto &functions = static_cast<Module *>(module)->functions;
  auto found = functions.find(name);
  if (found == functions.end()) return NOT_FOUND;
  *function = &found->second;
  return SUCCESS;
}
API int cuFuncSetAttribute(void *function, int attribute, int value) {
  ENTER NEED_CONTEXT
  if (attribute != 8 || value < 0 || value > SHARED_OPTIN) return INVALID_VALUE;
  static_cast<Function *>(function)->shared_limit = value;
  return SUCCESS;
}
API int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                       unsigned by, unsigned bz, unsigned shared, void *, void **parameters,
                       void **) {
  RETURN_IF_IDLE ENTER NEED_CONTEXT
  State &s = state();
  const Function &called = *static_cast<Function *>(function);
  const bool grid = gx - 1u < 0x7fffffffu && gy - 1u < 65535u && gz - 1u < 65535u;
  const bool block = bx - 1u < 1024u && by - 1u < 1024u && bz - 1u < 64u &&
                     uint64_t(bx) * by * bz <= 1024;
  if (!grid || !block || int(shared) > called.shared_limit) return INVALID_VALUE;
  s.launches++;
  s.kernels[called.kernel->name]++;
  Queued work{called.kernel, {{gx, gy, gz}, {bx, by, bz}, shared, 0, 0, {0}}, {}};
  size_t bytes = 0;
  for (int i = 0; i < called.kernel->parameters; i++) {
    const adl_parameter &parameter = called.kernel->parameter[i];
    const size_t at = work.values.size();
    work.values.resize(at + words_of(parameter));
    memcpy(&work.values[at], parameters[i], parameter.bytes);
    bytes += parameter.bytes;
  }
  if (bytes > MOST_PARAMETER_BYTES) return INVALID_VALUE;
  return submit([work]() mutable { return run_kernel(work); });
}

/* --- errors --- */

API int cuGetErrorName(int status, const char **name) {
  ENTER
  static const std::map<int, const char *> names = {
      {SUCCESS, "CUDA_SUCCESS"},
      {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
      {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
      {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED"},
      {34, "CUDA_ERROR_STUB_LIBRARY"},
      {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
      {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
      {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE"},
      {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
      {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"},
      {214, "CUDA_ERROR_ECC_UNCORRECTABLE"},
      {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
      {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
      {NOT_READY, "CUDA_ERROR_NOT_READY"},
      {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
      {MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS"},
      {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
      {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
      {999, "CUDA_ERROR_UNKNOWN"}};
  auto found = names.find(status);
  if (found == names.end()) return INVALID_VALUE;
  *name = found->second;
  return SUCCESS;
}
