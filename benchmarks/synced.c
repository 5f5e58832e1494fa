/* What a power cut would leave of a file: preloaded by benchmarks/durability.py, which compiles it.
 *
 * SYNC_LOG names a file; each fdatasync that has returned appends the inode and how long the file was when it began.
 * What was written later may be in the kernel's memory only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int synced = -1;

__attribute__((constructor)) static void open_log(void)
{
    const char *path = getenv("SYNC_LOG");
    if (path)
        synced = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

int fdatasync(int file)
{
    struct stat before;
    int known = synced >= 0 && fstat(file, &before) == 0;
    int result = syscall(SYS_fdatasync, file), error = errno;
    if (result == 0 && known)
        dprintf(synced, "%llu %lld\n", (unsigned long long)before.st_ino, (long long)before.st_size);
    errno = error;
    return result;
}
