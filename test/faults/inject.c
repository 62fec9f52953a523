/*
 * inject REPORT FOLDER CALL N FAULT COMMAND [ARGUMENT]...
 *
 * Runs a command and gives its N-th CALL on a file in FOLDER a fault: "kill" ends the command
 * before the call, "tear" after a half of what it writes, and an error number makes the call fail.
 * N counts from 1; with 0 nothing is done. REPORT gets the number of calls seen of every kind.
 *
 * Works by seccomp's notifications, since a preloaded library does not see the system calls that
 * Bun makes itself. Exits with 128 plus the signal that killed the command, 3 where the kernel has
 * no such notifications, and otherwise with the command's own status.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNSUPPORTED 3
#define PATH_BYTES 4096

/* How a call names its file: a descriptor, a path, or a path below a descriptor. */
enum file { BY_FD, BY_PATH, BY_PATH_AT };

enum kind { WRITE, FSYNC, TRUNCATE, RENAME, UNLINK, MKDIR, KINDS };
static const char *const names[KINDS] = {"write", "fsync", "truncate", "rename", "unlink", "mkdir"};

static const struct call {
  int number;
  enum kind kind;
  enum file file;
} calls[] = {
    {SYS_write, WRITE, BY_FD},           {SYS_pwrite64, WRITE, BY_FD},
    {SYS_writev, WRITE, BY_FD},          {SYS_fsync, FSYNC, BY_FD},
    {SYS_fdatasync, FSYNC, BY_FD},       {SYS_ftruncate, TRUNCATE, BY_FD},
    {SYS_rename, RENAME, BY_PATH},       {SYS_renameat, RENAME, BY_PATH_AT},
    {SYS_renameat2, RENAME, BY_PATH_AT}, {SYS_unlink, UNLINK, BY_PATH},
    {SYS_unlinkat, UNLINK, BY_PATH_AT},  {SYS_rmdir, UNLINK, BY_PATH},
    {SYS_mkdir, MKDIR, BY_PATH},
};
enum { CALLS = sizeof calls / sizeof *calls };

static void give_up(const char *what) {
  fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
  exit(UNSUPPORTED);
}

/* Asks for notifications of `calls` from here on; returns the descriptor they come from. */
static int listen_to_calls(void) {
  struct sock_filter filter[CALLS + 6];
  int at = 0;
  filter[at++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
  filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[at++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < CALLS; i++) /* to the last line of the program */
    filter[at++] = (struct sock_filter)BPF_JUMP(
        BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, (unsigned char)(CALLS - i), 0);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  struct sock_fprog program = {(unsigned short)at, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up("no_new_privs");
  const long listener =
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  if (listener < 0) give_up("seccomp notifications");
  return (int)listener;
}

/* Room for one descriptor in a message. */
union control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr aligned;
};

static void send_descriptor(int socket, int fd) {
  union control control = {0};
  char byte = 0;
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (sendmsg(socket, &message, 0) != 1) give_up("sendmsg");
}

/* The descriptor that the other process sends, or -1 if it ends without. */
static int receive_descriptor(int socket) {
  union control control = {0};
  char byte;
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return -1;
  int fd;
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

/* Starts the command in a group of its own; sets `listener`. */
static pid_t start(char **command, int *listener) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) give_up("socketpair");
  const pid_t child = fork();
  if (child < 0) give_up("fork");
  if (child == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    send_descriptor(pair[1], listen_to_calls());
    execvp(command[0], command);
    give_up(command[0]);
  }
  close(pair[1]);
  *listener = receive_descriptor(pair[0]);
  close(pair[0]);
  return child;
}

/* Copies a string from the memory of a process; a page at a time, as the next may not be mapped. */
static void read_string(pid_t pid, unsigned long long address, char *text) {
  size_t length = 0;
  while (length < PATH_BYTES - 1) {
    size_t part = 4096 - (address + length) % 4096;
    if (part > PATH_BYTES - 1 - length) part = PATH_BYTES - 1 - length;
    struct iovec local = {text + length, part};
    struct iovec remote = {(void *)(address + length), part};
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) <= 0) break;
    if (memchr(text + length, 0, part) != NULL) return;
    length += part;
  }
  text[length] = 0;
}

/* Sets `path` to what a link in a process's folder of /proc names. */
static void read_link(pid_t pid, const char *name, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/%d/%s", (int)pid, name);
  const ssize_t length = readlink(link, path, PATH_BYTES - 1);
  path[length < 0 ? 0 : length] = 0;
}

/* Sets `path` to the file that a call is about. */
static void path_of(const struct call *call, const struct seccomp_notif *notice, char *path) {
  const pid_t pid = (pid_t)notice->pid;
  const unsigned long long *arguments = (const unsigned long long *)notice->data.args;
  const int fd = (int)arguments[0];
  char name[PATH_BYTES], base[PATH_BYTES], descriptor[32];
  snprintf(descriptor, sizeof descriptor, "fd/%d", fd);
  if (call->file == BY_FD) {
    read_link(pid, descriptor, path);
    return;
  }
  read_string(pid, arguments[call->file == BY_PATH ? 0 : 1], name);
  base[0] = 0;
  if (name[0] != '/')
    read_link(pid, call->file == BY_PATH || fd == AT_FDCWD ? "cwd" : descriptor, base);
  path[0] = 0;
  strncat(path, base, PATH_BYTES - 1);
  if (name[0] != '/') strncat(path, "/", PATH_BYTES - 1 - strlen(path));
  strncat(path, name, PATH_BYTES - 1 - strlen(path));
}

/* Writes the first half of what a write call was to write to a file that is appended to. */
static void write_half(const struct seccomp_notif *notice) {
  static char bytes[1 << 20];
  size_t half = (size_t)notice->data.args[2] / 2;
  if (half > sizeof bytes) half = sizeof bytes;
  struct iovec local = {bytes, half}, remote = {(void *)notice->data.args[1], half};
  const ssize_t read = process_vm_readv((pid_t)notice->pid, &local, 1, &remote, 1, 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)notice->pid, (int)notice->data.args[0]);
  const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (read < 0 || fd < 0 || write(fd, bytes, (size_t)read) != read) perror("inject: tear");
}

struct plan {
  const char *folder, *kind, *fault;
  long nth;
};

static long seen[KINDS];

/* Counts a call on a file in the folder; whether it is the one that gets the fault. */
static int is_hit(const struct plan *plan, const struct seccomp_notif *notice) {
  const struct call *call = calls;
  while (call->number != notice->data.nr) call++;
  char path[PATH_BYTES];
  path_of(call, notice, path);
  const size_t length = strlen(plan->folder);
  if (strncmp(path, plan->folder, length) != 0) return 0;
  if (path[length] != '/' && path[length] != 0) return 0;
  seen[call->kind]++;
  return strcmp(plan->kind, names[call->kind]) == 0 && seen[call->kind] == plan->nth;
}

/* Answers one call of the command. */
static void answer(int listener, pid_t child, const struct plan *plan) {
  struct seccomp_notif notice = {0};
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice) != 0) return; /* its thread is gone */
  struct seccomp_notif_resp response = {.id = notice.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  if (is_hit(plan, &notice)) {
    const int is_tear = strcmp(plan->fault, "tear") == 0;
    if (is_tear) write_half(&notice);
    if (is_tear || strcmp(plan->fault, "kill") == 0) {
      kill(-child, SIGKILL);
      return;
    }
    response.flags = 0;
    response.error = -atoi(plan->fault);
  }
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

int main(int count, char **words) {
  if (count < 7) return UNSUPPORTED;
  const struct plan plan = {
      .folder = words[2], .kind = words[3], .nth = atol(words[4]), .fault = words[5]};
  int listener;
  const pid_t child = start(words + 6, &listener);
  struct pollfd waiting = {listener, POLLIN, 0};
  while (listener >= 0 && poll(&waiting, 1, -1) == 1 && (waiting.revents & POLLIN) != 0)
    answer(listener, child, &plan);
  int status;
  waitpid(child, &status, 0);
  FILE *report = fopen(words[1], "w");
  if (report == NULL) give_up(words[1]);
  for (int i = 0; i < KINDS; i++) fprintf(report, "%s %ld\n", names[i], seen[i]);
  fclose(report);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
