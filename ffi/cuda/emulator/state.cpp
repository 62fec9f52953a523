#include "state.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulated {

/* Settings and their defaults; ADL_EMULATOR="name=value,..." overrides them at the start. */
static std::map<std::string, long long> first_settings() {
  std::map<std::string, long long> settings = {
      {"order", 0},        /* of threads and blocks */
      {"early", 0},        /* work and copies land at once */
      {"compute", 1},      /* 0: kernels and copies do nothing */
      {"idle", 0},         /* 1: calls that queue work do nothing, not even count */
      {"quiet", 0},        /* 1: faults are not printed */
      {"unconverged", 0},  /* which matrix of a batch cuSOLVER gives up, from 1; 0: none */
      {"devices", 1},      {"capability", 80},
      {"version", 13000},  {"multiprocessors", 4},
      {"virtual", 1}, /* memory management */
      {"memory", 1ll << 30}};
  const char *text = getenv("ADL_EMULATOR");
  for (const char *at = text; at && *at;) {
    const char *equals = strchr(at, '='), *end = strchr(at, ',');
    if (!equals) break;
    settings[std::string(at, equals)] = atoll(equals + 1);
    at = end ? end + 1 : nullptr;
  }
  return settings;
}

State &state() {
  static State *one = [] {
    State *made = new State;
    made->settings = first_settings();
    return made;
  }();
  return *one;
}

bool idle = false;

bool Blocks::holds(const void *pointer, size_t bytes) const {
  auto after = live.upper_bound(uintptr_t(pointer));
  if (after == live.begin()) return false;
  --after;
  return uintptr_t(pointer) + bytes <= after->first + after->second;
}

bool computes() { return state().settings["compute"] != 0; }

int enter(const char *name) {
  State &s = state();
  s.calls[name]++;
  if (s.fail_after > 0 && (s.fail_name == "*" || s.fail_name == name) && --s.fail_after == 0)
    return s.fail_status;
  return 0;
}

static int run_one(const std::function<int()> &work) {
  State &s = state();
  s.done++;
  if (s.sticky) return s.sticky;
  const int status = work();
  if (status == 0) return 0;
  if (!s.settings["quiet"] && !s.fault.empty())
    fprintf(stderr, "emulated device: %s\n", s.fault.c_str());
  return s.sticky = status;
}

int submit(std::function<int()> work) {
  State &s = state();
  if (s.sticky) return s.sticky;
  s.queued++;
  if (!s.settings["early"]) s.queue.push_back(std::move(work));
  else run_one(work);
  return 0; /* an asynchronous error is reported at the next call */
}

int drain(long until) {
  State &s = state();
  size_t count = 0;
  while (s.done < until && count < s.queue.size()) run_one(s.queue[count++]);
  s.queue.erase(s.queue.begin(), s.queue.begin() + long(count));
  return s.sticky;
}

}  // namespace emulated

using emulated::state;

/* Changes a setting; 0 if there is none of this name. */
API int adl_emulator_set(const char *name, long long value) {
  auto at = state().settings.find(name);
  if (at == state().settings.end()) return 0;
  at->second = value;
  emulated::idle = state().settings["idle"] != 0;
  return 1;
}

/* Makes the nth call (from 1) of a function fail with a status; "*": of all functions. */
API void adl_emulator_fail(const char *name, int nth, int status) {
  state().fail_name = name;
  state().fail_after = nth;
  state().fail_status = status;
}

/* Forgets counts, planted failures and asynchronous errors; memory stays. */
API void adl_emulator_reset() {
  auto &s = state();
  s.calls.clear(), s.kernels.clear();
  s.queue.clear();
  s.done = s.queued = 0;
  s.fail_after = s.sticky = 0;
  s.fault.clear();
  s.waits = s.empty_waits = s.uploads = s.downloads = s.launches = 0;
}

static std::string json(const std::map<std::string, long> &counts) {
  std::string text = "{";
  for (auto &[name, count] : counts)
    text += (text.size() > 1 ? ",\"" : "\"") + name + "\":" + std::to_string(count);
  return text + "}";
}

/* Counts since the last reset, and the last fault, as JSON; valid until the next call. */
API const char *adl_emulator_report() {
  static std::string text;
  auto &s = state();
  std::string fault;
  for (char c : s.fault) fault += c == '"' || c == '\\' ? '\'' : c;
  text = "{\"calls\":" + json(s.calls) + ",\"kernels\":" + json(s.kernels) +
         ",\"launches\":" + std::to_string(s.launches) + ",\"waits\":" + std::to_string(s.waits) +
         ",\"emptyWaits\":" + std::to_string(s.empty_waits) +
         ",\"uploads\":" + std::to_string(s.uploads) +
         ",\"downloads\":" + std::to_string(s.downloads) +
         ",\"used\":" + std::to_string(s.used) +
         ",\"pinned\":" + std::to_string(s.pinned.live.size()) +
         ",\"pending\":" + std::to_string(s.queue.size()) + ",\"fault\":\"" + fault + "\"}";
  return text.c_str();
}
