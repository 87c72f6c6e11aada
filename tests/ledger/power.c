/* Writes down what a process does to the files of one folder, in order, so that a power cut can be imagined afterwards.

   LD_PRELOAD this; POWER_FOLDER is the folder, POWER_JOURNAL a file elsewhere. Each line of the journal is a header
   { kind, path length, second path length, offset, length, began } in native 8-byte numbers, then path, second path, data:
     W write   T truncate (offset: new size)   S file synced   D folder synced   R rename   U unlink
   began: the number of lines that the journal had when a sync was called. Only what stands before those is safe: a write that another
   thread made while the sync ran may or may not have been part of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static uint64_t lines;
static int journal = -1;
static char folder[PATH_MAX];

static void __attribute__((constructor)) begin(void) {
    const char *name = getenv("POWER_FOLDER"), *where = getenv("POWER_JOURNAL");
    if (!name || !where || !realpath(name, folder)) return;
    journal = syscall(SYS_openat, AT_FDCWD, where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static uint64_t now(void) {
    pthread_mutex_lock(&turn);
    uint64_t n = lines;
    pthread_mutex_unlock(&turn);
    return n;
}

static void note(char kind, const char *path, const char *other, uint64_t offset, const void *data, uint64_t length, uint64_t began) {
    uint64_t head[6] = {(uint64_t)kind, strlen(path), other ? strlen(other) : 0, offset, data ? length : 0, began};
    struct iovec parts[4] = {{head, sizeof head}, {(void *)path, head[1]}, {(void *)other, head[2]}, {(void *)data, head[4]}};
    pthread_mutex_lock(&turn);
    if (syscall(SYS_writev, journal, parts, 4) < 0) abort();
    lines++;
    pthread_mutex_unlock(&turn);
}

static int inside(const char *path) {
    size_t n = strlen(folder);
    return n && !strncmp(path, folder, n) && (path[n] == '/' || !path[n]);
}

/* The path of an open file in the folder; 0 for others. */
static int named(int fd, char *path) {
    char link[64];
    if (journal < 0 || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return inside(path);
}

static int absolute(int at, const char *path, char *out) {
    if (journal < 0) return 0;
    if (path[0] == '/') snprintf(out, PATH_MAX, "%s", path);
    else if (at == AT_FDCWD) {
        char here[PATH_MAX / 2];
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(out, PATH_MAX, "%s/%.2000s", here, path);
    } else {
        if (!named(at, out)) return 0;
        size_t n = strlen(out);
        snprintf(out + n, PATH_MAX - n, "/%s", path);
    }
    return inside(out);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t wrote(int fd, const void *data, ssize_t n, off64_t at) {
    char path[PATH_MAX];
    if (n > 0 && named(fd, path)) note('W', path, NULL, at, data, n, 0);
    return n;
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { return wrote(fd, data, REAL(pwrite64)(fd, data, n, at), at); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return wrote(fd, data, REAL(pwrite)(fd, data, n, at), at); }

ssize_t write(int fd, const void *data, size_t n) {
    ssize_t done = REAL(write)(fd, data, n);
    char path[PATH_MAX];
    if (done > 0 && named(fd, path)) note('W', path, NULL, lseek(fd, 0, SEEK_CUR) - done, data, done, 0);
    return done;
}

static int cut(int fd, int done, off64_t size) {
    char path[PATH_MAX];
    if (!done && named(fd, path)) note('T', path, NULL, size, NULL, 0, 0);
    return done;
}
int ftruncate64(int fd, off64_t size) { return cut(fd, REAL(ftruncate64)(fd, size), size); }
int ftruncate(int fd, off_t size) { return cut(fd, REAL(ftruncate)(fd, size), size); }

static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    struct stat found;
    uint64_t began = now();
    int done = real(fd);
    if (!done && named(fd, path)) note(!fstat(fd, &found) && S_ISDIR(found.st_mode) ? 'D' : 'S', path, NULL, 0, NULL, 0, began);
    return done;
}
int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

int unlink(const char *path) {
    char whole[PATH_MAX];
    int done = REAL(unlink)(path);
    if (!done && absolute(AT_FDCWD, path, whole)) note('U', whole, NULL, 0, NULL, 0, 0);
    return done;
}

static void moved(const char *from, const char *to) {
    char a[PATH_MAX], b[PATH_MAX];
    if (absolute(AT_FDCWD, from, a) && absolute(AT_FDCWD, to, b)) note('R', a, b, 0, NULL, 0, 0);
}
int rename(const char *from, const char *to) {
    int done = REAL(rename)(from, to);
    if (!done) moved(from, to);
    return done;
}
