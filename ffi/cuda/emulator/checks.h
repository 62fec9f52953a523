/* Handlers of the compiler's checks, in place of libubsan's: a fault of the launch, no abort. */
#pragma once

extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_type_mismatch_v1(
    const adl_source *source, void *address) {
  adl_report(source, address ? "misaligned address" : "null pointer");
}
extern "C" __attribute__((visibility("hidden"))) void __ubsan_handle_out_of_bounds(
    const adl_source *source, void *) {
  adl_report(source, "index past the end of an array");
}
