/* Loaded before libc (LD_PRELOAD): a disk that fails when told to, and that writes down what was done to it.

   $FAULT_DISK      a file whose first int64 says what fails with EIO from now on: 1 writes, 2 syncs, 4 reservations
                    (a sum); only of files whose path contains $FAULT_DISK_FILES, by default "deepevent.db".
   $FAULT_DISK_LOG  every write, truncation and sync of these files is appended here when it has succeeded:
                    u8 kind (1 write, 2 truncate, 3 sync), u8 length of the file's name, u16 0, u32 length of data,
                    i64 offset or size, the name without its folder, the data. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, RESERVATIONS = 4 };
enum { WRITE = 1, TRUNCATE = 2, SYNC = 3 };

static volatile int64_t *failing;
static int log_file = -1;
static const char *watched = "deepevent.db";

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_DISK"), *log_path = getenv("FAULT_DISK_LOG");
    if (getenv("FAULT_DISK_FILES")) watched = getenv("FAULT_DISK_FILES");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) failing = page;
        close(file);
    }
    if (log_path) log_file = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* The name of a watched file without its folder, or NULL. */
static const char *name_of(int file, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, size - 1);
    if (n <= 0) return NULL;
    path[n] = 0;
    if (!strstr(path, watched)) return NULL;
    return strrchr(path, '/') + 1;
}

static int fails(int file, int64_t kind) {
    char path[4096];
    if (!failing || !(*failing & kind) || !name_of(file, path, sizeof path)) return 0;
    errno = EIO;
    return 1;
}

static void note(int file, uint8_t kind, int64_t offset, const void *data, uint32_t size) {
    char path[4096];
    const char *name;
    int before = errno;
    if (log_file < 0 || !(name = name_of(file, path, sizeof path))) return;
    uint8_t length = (uint8_t)strlen(name);
    uint8_t head[16] = {kind, length};
    memcpy(head + 4, &size, 4);
    memcpy(head + 8, &offset, 8);
    struct iovec parts[3] = {{head, 16}, {(void *)name, length}, {(void *)data, size}};
    if (syscall(SYS_writev, log_file, parts, 3) < 0) abort();
    errno = before;
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
    if (fails(file, WRITES)) return -1;
    ssize_t done = syscall(SYS_pwrite64, file, data, size, offset);
    if (done > 0) note(file, WRITE, offset, data, (uint32_t)done);
    return done;
}
ssize_t pwrite(int file, const void *data, size_t size, off_t offset) { return pwrite64(file, data, size, offset); }

ssize_t write(int file, const void *data, size_t size) {
    if (fails(file, WRITES)) return -1;
    return syscall(SYS_write, file, data, size);
}

int ftruncate64(int file, off64_t size) {
    if (fails(file, WRITES)) return -1;
    int answer = (int)syscall(SYS_ftruncate, file, size);
    if (answer == 0) note(file, TRUNCATE, size, NULL, 0);
    return answer;
}
int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

int fdatasync(int file) {
    if (fails(file, SYNCS)) return -1;
    int answer = (int)syscall(SYS_fdatasync, file);
    if (answer == 0) note(file, SYNC, 0, NULL, 0);
    return answer;
}

int fsync(int file) {
    if (fails(file, SYNCS)) return -1;
    int answer = (int)syscall(SYS_fsync, file);
    if (answer == 0) note(file, SYNC, 0, NULL, 0);
    return answer;
}

int posix_fallocate64(int file, off64_t offset, off64_t size) {
    if (fails(file, RESERVATIONS)) return EIO;
    return syscall(SYS_fallocate, file, 0, offset, size) == 0 ? 0 : errno;
}
int posix_fallocate(int file, off_t offset, off_t size) { return posix_fallocate64(file, offset, size); }
