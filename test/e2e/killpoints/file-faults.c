/*
 * File operations that end the process, or find the disk full. Preloaded (LD_PRELOAD), it sees every operation of the
 * process that changes a file of the folders FAULTS_DIRS (separated by ':'), whoever calls it: Node, its threads, ClickHouse.
 *
 * FAULTS_BEGIN    the process makes this file where its work begins
 * FAULTS_FROM     work: operations count from there on; else all do
 * FAULTS_KIND     only operations of this kind count: create, write, sync, rename, unlink, truncate, mkdir, link
 * FAULTS_KILL_AT  SIGKILL to the own process in place of operation number so (from 1); 0 or nothing: only count
 * FAULTS_TORN     1: a write that is to be killed first writes half of its bytes
 * FAULTS_POWER    1: with the kill, what was written and not synced is lost, as when the power fails
 * FAULTS_NO_SYNC  1: a sync that counts does nothing, as if the program had left it out
 * FAULTS_LOG      every operation that counts is a line here: its kind, a space, the path; "begin" where the work begins,
 *                 "killed" before the kill
 * FAULTS_FULL     while this file exists, the disk is full for the paths that it names, one a line behind a word:
 *                 "full" no file can be made and no byte be written; "byte" files can be made, but no byte be written;
 *                 "half" a write takes half, and others into the same file none until it is cut; "sync" only a sync fails
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))real(#name))
/* File descriptors below this: whether a half-done write has filled the disk. */
#define FDS 65536
/* Files written and not synced at one moment. */
#define UNSYNCED 4096

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dirs, *begin_file, *full, *only;
static long kill_at, count;
static bool torn, power, no_sync, counts, begun;
static int log_fd = -1;
static bool half_done[FDS];

static struct { char path[PATH_MAX]; off_t safe; } unsynced[UNSYNCED];
static int unsynced_count;

static bool says(const char *name, const char *value) {
  const char *found = getenv(name);
  return found && strcmp(found, value) == 0;
}

__attribute__((constructor)) static void start(void) {
  const char *n = getenv("FAULTS_KILL_AT"), *log = getenv("FAULTS_LOG");
  dirs = getenv("FAULTS_DIRS");
  begin_file = getenv("FAULTS_BEGIN");
  full = getenv("FAULTS_FULL");
  only = getenv("FAULTS_KIND");
  kill_at = n ? atol(n) : 0;
  torn = says("FAULTS_TORN", "1");
  power = says("FAULTS_POWER", "1");
  no_sync = says("FAULTS_NO_SYNC", "1");
  counts = !says("FAULTS_FROM", "work");
  if (dirs && log) log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static bool begins(const char *path, const char *with, size_t length) {
  return length > 0 && strncmp(path, with, length) == 0;
}

/* Whether a path is in one of the folders. */
static bool watched(const char *path) {
  if (!dirs || !path) return false;
  for (const char *at = dirs; *at;) {
    size_t length = strcspn(at, ":");
    if (begins(path, at, length)) return true;
    at += length + (at[length] == ':');
  }
  return false;
}

static const char *path_of_fd(int fd, char *into) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, into, PATH_MAX - 1);
  if (length < 0) return NULL;
  into[length] = 0;
  return into;
}

/* The absolute path of a name beside a folder's descriptor. */
static const char *path_at(int dirfd, const char *name, char *into) {
  char base[PATH_MAX];
  if (!name) return NULL;
  if (*name == '/') return name;
  if (dirfd == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of_fd(dirfd, base)) return NULL;
  if (snprintf(into, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return NULL;
  return into;
}

/* Loses what was not synced: every such file has again the size that it had when it was synced last. */
static void lose_unsynced(void) {
  for (int i = 0; i < unsynced_count; i++) {
    if (REAL(truncate)(unsynced[i].path, unsynced[i].safe) != 0) continue;
  }
}

static void note_write(const char *path) {
  struct stat found;
  for (int i = 0; i < unsynced_count; i++)
    if (strcmp(unsynced[i].path, path) == 0) return;
  if (unsynced_count == UNSYNCED) return;
  snprintf(unsynced[unsynced_count].path, PATH_MAX, "%s", path);
  unsynced[unsynced_count++].safe = stat(path, &found) == 0 ? found.st_size : 0;
}

static void note_sync(const char *path) {
  for (int i = 0; i < unsynced_count; i++)
    if (strcmp(unsynced[i].path, path) == 0) unsynced[i--] = unsynced[--unsynced_count];
}

static void note_rename(const char *from, const char *to) {
  note_sync(to);
  for (int i = 0; i < unsynced_count; i++)
    if (strcmp(unsynced[i].path, from) == 0) snprintf(unsynced[i].path, PATH_MAX, "%s", to);
}

static void die(void) {
  if (log_fd >= 0 && REAL(write)(log_fd, "killed\n", 7) < 0) _exit(99);
  if (power) lose_unsynced();
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* Whether a write to the log of operations would end in endless recursion is settled by the path: it is no watched file. */
static void tell(const char *kind, const char *path) {
  char line[PATH_MAX + 32];
  int length = snprintf(line, sizeof line, "%s %s\n", kind, path);
  if (log_fd >= 0 && REAL(write)(log_fd, line, (size_t)length) < 0) return;
}

/*
 * Counts an operation that is about to happen. Returns false, or true when it is a write that is to be torn: its caller
 * writes half of it and dies. Does not return when the process ends here; no other operation begins then.
 */
static bool passes(const char *kind, const char *path, bool is_write) {
  int saved = errno;
  bool tear = false;
  if (!watched(path)) return false;
  pthread_mutex_lock(&lock);
  if (!begun && begin_file && REAL(access)(begin_file, F_OK) == 0) {
    begun = counts = true;
    tell("begin", "");
  }
  if (counts && (!only || strcmp(only, kind) == 0)) {
    count++;
    tell(kind, path);
    if (count == kill_at) {
      if (!is_write || !torn) die();
      tear = true;
    }
  }
  if (power && is_write) note_write(path);
  if (!tear) pthread_mutex_unlock(&lock);
  errno = saved;
  return tear;
}

enum shortage { ROOM, FULL, BYTE, HALF, SYNC };

/* What the file FAULTS_FULL says of a path. */
static enum shortage shortage_of(const char *path) {
  if (!full || !path) return ROOM;
  int saved = errno;
  enum shortage found = ROOM;
  char text[4096];
  int fd = REAL(open)(full, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? 0 : REAL(read)(fd, text, sizeof text - 1);
  if (fd >= 0) REAL(close)(fd);
  text[length < 0 ? 0 : length] = 0;
  for (char *at = text; *at && found == ROOM;) {
    size_t end = strcspn(at, "\n");
    if (end > 5 && begins(path, at + 5, end - 5))
      found = *at == 'f' ? FULL : *at == 'b' ? BYTE : *at == 'h' ? HALF : SYNC;
    at += end + (at[end] == '\n');
  }
  errno = saved;
  return found;
}

static int no_space(void) {
  errno = ENOSPC;
  return -1;
}

/* Bytes that a write of so many may take; -1 when none. */
static ssize_t allowance(int fd, const char *path, size_t bytes) {
  enum shortage shortage = shortage_of(path);
  if (shortage == FULL || shortage == BYTE) return no_space();
  if (fd < 0 || fd >= FDS) return (ssize_t)bytes;
  if (shortage != HALF) half_done[fd] = false;
  if (shortage != HALF || bytes < 2) return (ssize_t)bytes;
  if (half_done[fd]) return no_space();
  half_done[fd] = true;
  return (ssize_t)(bytes / 2);
}

/* Buffers cut down to so many bytes. */
static int cut(const struct iovec *from, int n, size_t bytes, struct iovec *into) {
  int used = 0;
  for (; used < n && bytes > 0; used++) {
    into[used] = from[used];
    if (into[used].iov_len > bytes) into[used].iov_len = bytes;
    bytes -= into[used].iov_len;
  }
  return used;
}

static size_t bytes_of(const struct iovec *buffers, int n) {
  size_t bytes = 0;
  for (int i = 0; i < n; i++) bytes += buffers[i].iov_len;
  return bytes;
}

/* A write of any form: `done(bytes)` writes so many of them. */
#define WRITE(kind, fd, total, done)                                   \
  char buffer[PATH_MAX];                                               \
  const char *path = dirs || full ? path_of_fd(fd, buffer) : NULL;     \
  ssize_t allowed = allowance(fd, path, total);                        \
  if (allowed < 0) return -1;                                          \
  bool tear = passes(kind, path, true);                                \
  size_t bytes = (size_t)allowed / (tear ? 2 : 1);                     \
  ssize_t result = bytes > 0 || !tear ? (done) : 0;                    \
  if (tear) die();                                                     \
  return result;

ssize_t write(int fd, const void *from, size_t n) {
  if (!dirs && !full) return REAL(write)(fd, from, n);
  WRITE("write", fd, n, REAL(write)(fd, from, bytes))
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { WRITE("write", fd, n, REAL(pwrite)(fd, from, bytes, at)) }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
  WRITE("write", fd, n, REAL(pwrite64)(fd, from, bytes, at))
}

static ssize_t some_writev(int fd, const struct iovec *buffers, int n, size_t bytes) {
  struct iovec cuts[n > 0 ? n : 1];
  return REAL(writev)(fd, cuts, cut(buffers, n, bytes, cuts));
}
static ssize_t some_pwritev(int fd, const struct iovec *buffers, int n, off64_t at, size_t bytes) {
  struct iovec cuts[n > 0 ? n : 1];
  return REAL(pwritev64)(fd, cuts, cut(buffers, n, bytes, cuts), at);
}
ssize_t writev(int fd, const struct iovec *buffers, int n) {
  WRITE("write", fd, bytes_of(buffers, n), some_writev(fd, buffers, n, bytes))
}
ssize_t pwritev(int fd, const struct iovec *buffers, int n, off_t at) {
  WRITE("write", fd, bytes_of(buffers, n), some_pwritev(fd, buffers, n, at, bytes))
}
ssize_t pwritev64(int fd, const struct iovec *buffers, int n, off64_t at) {
  WRITE("write", fd, bytes_of(buffers, n), some_pwritev(fd, buffers, n, at, bytes))
}

/* Opening changes something when it makes the file or empties it. */
static bool before_open(int dirfd, const char *name, int flags) {
  char buffer[PATH_MAX];
  struct stat found;
  if ((!dirs && !full) || !(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE) return true;
  const char *path = path_at(dirfd, name, buffer);
  enum shortage shortage = shortage_of(path);
  if ((shortage == FULL || shortage == HALF) && stat(path, &found) != 0) return no_space() == 0;
  passes("create", path, false);
  return true;
}

static int opened(int fd) {
  if (fd >= 0 && fd < FDS) half_done[fd] = false;
  return fd;
}

#define MODE_OF(flags)                          \
  mode_t mode = 0;                              \
  if ((flags) & (O_CREAT | O_TMPFILE)) {        \
    va_list rest;                               \
    va_start(rest, flags);                      \
    mode = va_arg(rest, mode_t);                \
    va_end(rest);                               \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  return before_open(AT_FDCWD, path, flags) ? opened(REAL(open)(path, flags, mode)) : -1;
}
int open64(const char *path, int flags, ...) {
  MODE_OF(flags)
  return before_open(AT_FDCWD, path, flags) ? opened(REAL(open64)(path, flags, mode)) : -1;
}
int openat(int dirfd, const char *path, int flags, ...) {
  MODE_OF(flags)
  return before_open(dirfd, path, flags) ? opened(REAL(openat)(dirfd, path, flags, mode)) : -1;
}
int openat64(int dirfd, const char *path, int flags, ...) {
  MODE_OF(flags)
  return before_open(dirfd, path, flags) ? opened(REAL(openat64)(dirfd, path, flags, mode)) : -1;
}
int creat(const char *path, mode_t mode) {
  return before_open(AT_FDCWD, path, O_CREAT | O_TRUNC) ? opened(REAL(creat)(path, mode)) : -1;
}

#define BY_NAME(kind, dirfd, name)                                \
  char buffer[PATH_MAX];                                          \
  const char *path = dirs || full ? path_at(dirfd, name, buffer) : NULL; \
  passes(kind, path, false);

int unlink(const char *name) {
  BY_NAME("unlink", AT_FDCWD, name)
  return REAL(unlink)(name);
}
int unlinkat(int dirfd, const char *name, int flags) {
  BY_NAME("unlink", dirfd, name)
  return REAL(unlinkat)(dirfd, name, flags);
}
int remove(const char *name) {
  BY_NAME("unlink", AT_FDCWD, name)
  return REAL(remove)(name);
}
int rmdir(const char *name) {
  BY_NAME("unlink", AT_FDCWD, name)
  return REAL(rmdir)(name);
}
int mkdir(const char *name, mode_t mode) {
  struct stat found;
  char there[PATH_MAX];
  if (full && shortage_of(path_at(AT_FDCWD, name, there)) == FULL && stat(name, &found) != 0) return no_space();
  BY_NAME("mkdir", AT_FDCWD, name)
  return REAL(mkdir)(name, mode);
}
int link(const char *from, const char *to) {
  BY_NAME("link", AT_FDCWD, to)
  return REAL(link)(from, to);
}
int linkat(int fromfd, const char *from, int tofd, const char *to, int flags) {
  BY_NAME("link", tofd, to)
  return REAL(linkat)(fromfd, from, tofd, to, flags);
}
int symlink(const char *target, const char *name) {
  BY_NAME("link", AT_FDCWD, name)
  return REAL(symlink)(target, name);
}

#define RENAME(fromfd, from, tofd, to, done)                                    \
  char old[PATH_MAX], new[PATH_MAX];                                            \
  const char *source = dirs || full ? path_at(fromfd, from, old) : NULL;        \
  const char *target = dirs || full ? path_at(tofd, to, new) : NULL;            \
  passes("rename", target, false);                                              \
  int result = (int)(done);                                                     \
  if (power && result == 0 && watched(target)) {                                \
    pthread_mutex_lock(&lock);                                                  \
    note_rename(source, target);                                                \
    pthread_mutex_unlock(&lock);                                                \
  }                                                                             \
  return result;

int rename(const char *from, const char *to) { RENAME(AT_FDCWD, from, AT_FDCWD, to, REAL(rename)(from, to)) }
int renameat(int fromfd, const char *from, int tofd, const char *to) {
  RENAME(fromfd, from, tofd, to, REAL(renameat)(fromfd, from, tofd, to))
}
int renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags) {
  RENAME(fromfd, from, tofd, to, REAL(syscall)(SYS_renameat2, fromfd, from, tofd, to, flags))
}

/* ClickHouse renames by the number of the system call. */
long syscall(long number, ...) {
  long a[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  if (number == SYS_renameat2)
    return renameat2((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3], (unsigned)a[4]);
  return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define BY_FD(kind, fd)                                              \
  char buffer[PATH_MAX];                                             \
  const char *path = dirs || full ? path_of_fd(fd, buffer) : NULL;   \
  passes(kind, path, false);

static int sync_of(const char *kind, int fd, int (*sync)(int)) {
  BY_FD(kind, fd)
  enum shortage shortage = shortage_of(path);
  if (shortage == SYNC) return no_space();
  if (no_sync && counts && watched(path)) return 0;
  int result = sync(fd);
  if (power && result == 0 && watched(path)) {
    pthread_mutex_lock(&lock);
    note_sync(path);
    pthread_mutex_unlock(&lock);
  }
  return result;
}
int fsync(int fd) { return sync_of("sync", fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_of("sync", fd, REAL(fdatasync)); }

int ftruncate(int fd, off_t size) {
  BY_FD("truncate", fd)
  if (fd >= 0 && fd < FDS) half_done[fd] = false;
  return REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off64_t size) {
  BY_FD("truncate", fd)
  if (fd >= 0 && fd < FDS) half_done[fd] = false;
  return REAL(ftruncate64)(fd, size);
}
