/*
 * Writes abi.json: the enum values, struct layouts and symbol names of CUDA's headers that
 * TypeScript repeats. With the headers of the wheels nvidia-cuda-runtime, nvidia-cuda-crt,
 * nvidia-cuda-nvrtc, nvidia-cublas, nvidia-cusolver and nvidia-cusparse:
 *   gcc -I SITE_PACKAGES/nvidia/cu13/include test/cuda/abi-check.c -o abi-check
 *   ./abi-check > test/cuda/abi.json
 */
#include <stddef.h>
#include <stdio.h>

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda.h>
#include <cusolverDn.h>
#include <nvrtc.h>

static const char *separator = "";

static void number(const char *name, long long value) {
  printf("%s\n    \"%s\": %lld", separator, name, value);
  separator = ",";
}
static void text(const char *name, const char *value) {
  printf("%s\n    \"%s\": \"%s\"", separator, name, value);
  separator = ",";
}

#define VALUE(x) number(#x, (long long)(x))
#define STRING(x) #x
#define OFFSET(type, field) number(#type "." #field, (long long)offsetof(type, field))
#define SIZE(type) number("sizeof " #type, (long long)sizeof(type))

/* The name to which a header's macro maps a function. */
#define MAPPED(plain) text(#plain, MAPPED_TO(plain))
#define MAPPED_TO(x) STRING(x)

int main(void) {
  printf("{\n  \"values\": {");
  VALUE(CUDA_SUCCESS);
  VALUE(CUDA_ERROR_OUT_OF_MEMORY);
  VALUE(CUDA_ERROR_STUB_LIBRARY);
  VALUE(CUDA_ERROR_DEVICE_UNAVAILABLE);
  VALUE(CUDA_ERROR_NO_DEVICE);
  VALUE(CUDA_ERROR_NO_BINARY_FOR_GPU);
  VALUE(CUDA_ERROR_ECC_UNCORRECTABLE);
  VALUE(CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  VALUE(CUDA_ERROR_NOT_FOUND);
  VALUE(CUDA_ERROR_ILLEGAL_ADDRESS);
  VALUE(CUDA_ERROR_LAUNCH_TIMEOUT);
  VALUE(CUDA_ERROR_HARDWARE_STACK_ERROR);
  VALUE(CUDA_ERROR_ILLEGAL_INSTRUCTION);
  VALUE(CUDA_ERROR_MISALIGNED_ADDRESS);
  VALUE(CUDA_ERROR_INVALID_ADDRESS_SPACE);
  VALUE(CUDA_ERROR_INVALID_PC);
  VALUE(CUDA_ERROR_LAUNCH_FAILED);
  VALUE(CUDA_ERROR_SYSTEM_NOT_READY);
  VALUE(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
  VALUE(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE);
  VALUE(CUDA_ERROR_UNKNOWN);
  VALUE(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  VALUE(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  VALUE(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
  VALUE(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  VALUE(CU_STREAM_NON_BLOCKING);
  VALUE(CU_EVENT_DISABLE_TIMING);
  VALUE(CU_MEM_ALLOCATION_TYPE_PINNED);
  VALUE(CU_MEM_LOCATION_TYPE_DEVICE);
  VALUE(CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  VALUE(CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  SIZE(CUdevice);
  SIZE(CUdeviceptr);
  SIZE(CUmemGenericAllocationHandle);
  SIZE(CUmemAllocationProp);
  OFFSET(CUmemAllocationProp, type);
  OFFSET(CUmemAllocationProp, requestedHandleTypes);
  OFFSET(CUmemAllocationProp, location);
  SIZE(CUmemLocation);
  OFFSET(CUmemLocation, type);
  OFFSET(CUmemLocation, id);
  SIZE(CUmemAccessDesc);
  OFFSET(CUmemAccessDesc, location);
  OFFSET(CUmemAccessDesc, flags);
  VALUE(NVRTC_SUCCESS);
  VALUE(NVRTC_ERROR_OUT_OF_MEMORY);
  VALUE(NVRTC_ERROR_PROGRAM_CREATION_FAILURE);
  VALUE(NVRTC_ERROR_INVALID_INPUT);
  VALUE(NVRTC_ERROR_INVALID_PROGRAM);
  VALUE(NVRTC_ERROR_INVALID_OPTION);
  VALUE(NVRTC_ERROR_COMPILATION);
  VALUE(NVRTC_ERROR_BUILTIN_OPERATION_FAILURE);
  VALUE(CUSOLVER_EIG_MODE_VECTOR);
  VALUE(CUSOLVER_STATUS_NOT_INITIALIZED);
  VALUE(CUSOLVER_STATUS_ALLOC_FAILED);
  VALUE(CUSOLVER_STATUS_INVALID_VALUE);
  VALUE(CUSOLVER_STATUS_ARCH_MISMATCH);
  VALUE(CUSOLVER_STATUS_MAPPING_ERROR);
  VALUE(CUSOLVER_STATUS_EXECUTION_FAILED);
  VALUE(CUSOLVER_STATUS_INTERNAL_ERROR);
  VALUE(CUSOLVER_STATUS_MATRIX_TYPE_NOT_SUPPORTED);
  VALUE(CUSOLVER_STATUS_NOT_SUPPORTED);
  VALUE(CUSOLVER_STATUS_INVALID_WORKSPACE);
  VALUE(CUBLAS_OP_N);
  VALUE(CUBLAS_OP_T);
  VALUE(CUBLAS_DEFAULT_MATH);
  VALUE(CUBLAS_TF32_TENSOR_OP_MATH);
  VALUE(CUBLAS_COMPUTE_32F);
  VALUE(CUBLAS_COMPUTE_32F_FAST_TF32);
  VALUE(CUBLAS_GEMM_DEFAULT);
  VALUE(CUDA_R_32F);
  VALUE(CUDA_R_16BF);
  VALUE(CUBLASLT_MATMUL_DESC_TRANSA);
  VALUE(CUBLASLT_MATMUL_DESC_TRANSB);
  VALUE(CUBLASLT_MATMUL_DESC_EPILOGUE);
  VALUE(CUBLASLT_MATMUL_DESC_BIAS_POINTER);
  VALUE(CUBLASLT_EPILOGUE_DEFAULT);
  VALUE(CUBLASLT_EPILOGUE_BIAS);
  VALUE(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
  VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
  VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
  VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
  VALUE(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
  SIZE(cublasLtMatmulAlgo_t);
  SIZE(cublasLtMatmulHeuristicResult_t);
  OFFSET(cublasLtMatmulHeuristicResult_t, workspaceSize);
  OFFSET(cublasLtMatmulHeuristicResult_t, state);
  VALUE(CUBLAS_STATUS_NOT_INITIALIZED);
  VALUE(CUBLAS_STATUS_ALLOC_FAILED);
  VALUE(CUBLAS_STATUS_INVALID_VALUE);
  VALUE(CUBLAS_STATUS_ARCH_MISMATCH);
  VALUE(CUBLAS_STATUS_MAPPING_ERROR);
  VALUE(CUBLAS_STATUS_EXECUTION_FAILED);
  VALUE(CUBLAS_STATUS_INTERNAL_ERROR);
  VALUE(CUBLAS_STATUS_NOT_SUPPORTED);
  printf("\n  },\n  \"symbols\": {");
  separator = "";
  MAPPED(cuInit);
  MAPPED(cuDriverGetVersion);
  MAPPED(cuDeviceGetCount);
  MAPPED(cuDeviceGet);
  MAPPED(cuDeviceGetName);
  MAPPED(cuDeviceTotalMem);
  MAPPED(cuDeviceGetAttribute);
  MAPPED(cuDevicePrimaryCtxRetain);
  MAPPED(cuDevicePrimaryCtxRelease);
  MAPPED(cuCtxSetCurrent);
  MAPPED(cuMemGetInfo);
  MAPPED(cuMemGetAllocationGranularity);
  MAPPED(cuMemAddressReserve);
  MAPPED(cuMemAddressFree);
  MAPPED(cuMemCreate);
  MAPPED(cuMemRelease);
  MAPPED(cuMemMap);
  MAPPED(cuMemUnmap);
  MAPPED(cuMemSetAccess);
  MAPPED(cuMemHostAlloc);
  MAPPED(cuMemFreeHost);
  MAPPED(cuMemcpyHtoDAsync);
  MAPPED(cuMemcpyDtoHAsync);
  MAPPED(cuMemcpyDtoDAsync);
  MAPPED(cuMemsetD8Async);
  MAPPED(cuStreamCreate);
  MAPPED(cuStreamDestroy);
  MAPPED(cuStreamSynchronize);
  MAPPED(cuEventCreate);
  MAPPED(cuEventDestroy);
  MAPPED(cuEventRecord);
  MAPPED(cuEventSynchronize);
  MAPPED(cuEventElapsedTime);
  MAPPED(cuModuleLoadData);
  MAPPED(cuModuleUnload);
  MAPPED(cuModuleGetFunction);
  MAPPED(cuFuncSetAttribute);
  MAPPED(cuLaunchKernel);
  MAPPED(cuGetErrorName);
  MAPPED(cublasCreate);
  MAPPED(cublasDestroy);
  MAPPED(cublasGetVersion);
  MAPPED(cublasSetStream);
  MAPPED(cublasSetMathMode);
  MAPPED(cublasSetWorkspace);
  MAPPED(cublasGemmEx);
  MAPPED(cublasLtCreate);
  MAPPED(cublasLtDestroy);
  MAPPED(cublasLtMatmulDescCreate);
  MAPPED(cublasLtMatmulDescDestroy);
  MAPPED(cublasLtMatmulDescSetAttribute);
  MAPPED(cublasLtMatrixLayoutCreate);
  MAPPED(cublasLtMatrixLayoutDestroy);
  MAPPED(cublasLtMatmulPreferenceCreate);
  MAPPED(cublasLtMatmulPreferenceDestroy);
  MAPPED(cublasLtMatmulPreferenceSetAttribute);
  MAPPED(cublasLtMatmulAlgoGetHeuristic);
  MAPPED(cublasLtMatmul);
  MAPPED(cusolverGetVersion);
  MAPPED(cusolverDnCreate);
  MAPPED(cusolverDnDestroy);
  MAPPED(cusolverDnSetStream);
  MAPPED(cusolverDnCreateGesvdjInfo);
  MAPPED(cusolverDnDestroyGesvdjInfo);
  MAPPED(cusolverDnDgesvdjBatched_bufferSize);
  MAPPED(cusolverDnDgesvdjBatched);
  printf("\n  }\n}\n");
  return 0;
}
