/* Stands between a program and its disk, by LD_PRELOAD: it makes files below one directory fail, and writes down what
 * is done to them. Linux only; `shim.py` compiles it and says what it is told.
 *
 * SHIM_DIRECTORY  the files it looks at lie below it, and so does the directory itself; all others are left alone
 * SHIM_CONTROL    a file of one `struct control`, which whoever tests changes while the program runs
 * SHIM_LOG        a file to which each change is appended, in the order in which the changes took place
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum operation { WRITE = 1, GROW = 2, SYNC = 4, READ = 8 };

struct control {
    int32_t error;      /* the errno that operations fail with; 0: none fails */
    int32_t operations; /* which: a sum of `enum operation`; GROW are the writes behind the end of a file */
    int64_t spared;     /* how many of them succeed before the first fails */
    int64_t every;      /* from then on, of so many ... */
    int64_t in_a_row;   /* ... this many fail, one after the other */
    int64_t failed;     /* how many have failed */
    int64_t delay_us;   /* how long each write and each sync takes longer */
};

enum kind { WRITTEN = 1, TRUNCATED, SYNCED, CREATED, UNLINKED, RENAMED, SYNC_FAILED };

struct entry {
    uint32_t kind;
    uint32_t name_length;
    int64_t offset; /* of WRITTEN; the size of TRUNCATED */
    uint64_t length; /* of the bytes behind the name: what was written, or the new name of RENAMED */
};

static char directory[PATH_MAX];
static struct control *control;
static int log_fd = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static __thread int was_short;

#define REAL(name, type, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("SHIM_DIRECTORY"), *told = getenv("SHIM_CONTROL"), *noted = getenv("SHIM_LOG");
    if (where == NULL || realpath(where, directory) == NULL) return;
    if (told != NULL) {
        int fd = syscall(SYS_openat, AT_FDCWD, told, O_RDWR | O_CLOEXEC);
        void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) abort();
        control = map;
        syscall(SYS_close, fd);
    }
    if (noted != NULL) {
        /* High above all others, so that nobody closes it who closes "all" that are open. */
        int fd = syscall(SYS_openat, AT_FDCWD, noted, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 1000);
        if (log_fd < 0) abort();
        syscall(SYS_close, fd);
    }
}

static int is_below(const char *path) {
    size_t length = strlen(directory);
    return length > 0 && strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The path of an open file, if it is one of ours. */
static int of_fd(int fd, char path[PATH_MAX]) {
    char link[40];
    if (directory[0] == '\0') return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = '\0';
    return is_below(path);
}

/* The path of a name, if it is one of ours; its directory must exist. */
static int of_name(const char *name, char path[PATH_MAX]) {
    char parent[PATH_MAX], resolved[PATH_MAX];
    if (directory[0] == '\0' || strlen(name) >= PATH_MAX) return 0;
    strcpy(parent, name);
    char *slash = strrchr(parent, '/');
    const char *base = slash == NULL ? name : name + (slash - parent) + 1;
    if (slash != NULL) *(slash == parent ? slash + 1 : slash) = '\0';
    if (realpath(slash == NULL ? "." : parent, resolved) == NULL) return 0;
    return snprintf(path, PATH_MAX, "%s/%s", resolved, base) < PATH_MAX && is_below(path);
}

static void note(enum kind kind, const char *path, int64_t offset, const void *bytes, uint64_t length) {
    if (log_fd < 0) return;
    struct entry entry = {kind, strlen(path), offset, length};
    struct iovec parts[] = {{&entry, sizeof entry}, {(void *)path, entry.name_length}, {(void *)bytes, length}};
    if (syscall(SYS_writev, log_fd, parts, 3) != (long)(sizeof entry + entry.name_length + length)) abort();
}

static int fails(int operations) {
    if (control == NULL || control->error == 0 || (control->operations & operations) == 0) return 0;
    int64_t left = __sync_fetch_and_sub(&control->spared, 1);
    if (left > 0 || -left % control->every >= control->in_a_row) return 0;
    __sync_fetch_and_add(&control->failed, 1);
    errno = control->error;
    return 1;
}

static void linger(void) {
    if (control != NULL && control->delay_us > 0) usleep(control->delay_us);
}

static int64_t size_of(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 ? found.st_size : 0;
}

/* `offset` is -1 where the file's own is used. A write that grows the file is cut short once before it fails, as on a
 * disk that has become full. */
static ssize_t put(int fd, const void *bytes, size_t length, int64_t offset, const char *path) {
    linger();
    int64_t end = size_of(fd);
    int64_t start = offset >= 0 ? offset : (fcntl(fd, F_GETFL) & O_APPEND) ? end : lseek(fd, 0, SEEK_CUR);
    int grows = start + (int64_t)length > end;
    if (fails(WRITE | (grows ? GROW : 0))) {
        if (!grows || was_short || length < 2) {
            was_short = 0;
            return -1;
        }
        was_short = 1;
        length /= 2;
    } else {
        was_short = 0;
    }
    ssize_t done = offset < 0 ? syscall(SYS_write, fd, bytes, length) : syscall(SYS_pwrite64, fd, bytes, length, offset);
    if (done > 0) note(WRITTEN, path, start, bytes, done);
    return done;
}

static ssize_t put_in_order(int fd, const void *bytes, size_t length, int64_t offset, const char *path) {
    pthread_mutex_lock(&order);
    ssize_t done = put(fd, bytes, length, offset, path);
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    char path[PATH_MAX];
    return of_fd(fd, path) ? put_in_order(fd, bytes, length, -1, path) : syscall(SYS_write, fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    char path[PATH_MAX];
    if (of_fd(fd, path)) return put_in_order(fd, bytes, length, offset, path);
    return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

/* Only the first part is written, which is less than was asked for, as the caller has to expect. */
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    char path[PATH_MAX];
    if (!of_fd(fd, path)) {
        REAL("pwritev64", ssize_t, int, const struct iovec *, int, off64_t);
        return real(fd, parts, count, offset);
    }
    return put_in_order(fd, parts[0].iov_base, parts[0].iov_len, offset, path);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return pwritev64(fd, parts, count, offset);
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset) {
    char path[PATH_MAX];
    if (control != NULL && control->error != 0 && of_fd(fd, path) && fails(READ)) return -1;
    return syscall(SYS_pread64, fd, bytes, length, offset);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset) { return pread64(fd, bytes, length, offset); }

ssize_t preadv64(int fd, const struct iovec *parts, int count, off64_t offset) {
    char path[PATH_MAX];
    REAL("preadv64", ssize_t, int, const struct iovec *, int, off64_t);
    if (control != NULL && control->error != 0 && of_fd(fd, path) && fails(READ)) return -1;
    return real(fd, parts, count, offset);
}

ssize_t preadv(int fd, const struct iovec *parts, int count, off_t offset) {
    return preadv64(fd, parts, count, offset);
}

static int sync_with(long call, int fd) {
    char path[PATH_MAX];
    if (!of_fd(fd, path)) return syscall(call, fd);
    pthread_mutex_lock(&order);
    linger();
    int done = fails(SYNC) ? -1 : syscall(call, fd);
    int error = errno;
    note(done == 0 ? SYNCED : SYNC_FAILED, path, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    errno = error;
    return done;
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }

int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    if (!of_fd(fd, path)) return syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&order);
    int done = fails(WRITE | (size > size_of(fd) ? GROW : 0)) ? -1 : syscall(SYS_ftruncate, fd, size);
    if (done == 0) note(TRUNCATED, path, size, NULL, 0);
    pthread_mutex_unlock(&order);
    return done;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    char path[PATH_MAX];
    if (of_fd(fd, path) && fails(WRITE | GROW)) return errno;
    return syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno;
}

int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }

static int open_with(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int is_new = (flags & O_CREAT) && at == AT_FDCWD && of_name(name, path) && access(name, F_OK) != 0;
    if (!is_new) return syscall(SYS_openat, at, name, flags, mode);
    pthread_mutex_lock(&order);
    int fd = syscall(SYS_openat, at, name, flags, mode);
    if (fd >= 0) note(CREATED, path, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return fd;
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                           \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *name, int flags, ...) {
    MODE(flags)
    return open_with(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE(flags)
    return open_with(AT_FDCWD, name, flags, mode);
}

int unlink(const char *name) {
    char path[PATH_MAX];
    if (!of_name(name, path)) return syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    pthread_mutex_lock(&order);
    int done = syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    if (done == 0) note(UNLINKED, path, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return done;
}

int rename(const char *old, const char *new) {
    char path[PATH_MAX], now[PATH_MAX];
    int is_ours = of_name(old, path) && of_name(new, now);
    if (!is_ours) return syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
    pthread_mutex_lock(&order);
    int done = syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
    if (done == 0) note(RENAMED, path, 0, now, strlen(now));
    pthread_mutex_unlock(&order);
    return done;
}
