/* Writes SIZE bytes to descriptor FD in blocks of 64 KiB, as lines of 64 bytes; SIZE 0 means for ever
   (ten minutes, like every child here). A reader that stops leaves it blocked in write(). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char block[65536];

int main(int argc, char **argv) {
    if (argc != 3)
        return 64;
    alarm(600);
    long long left = atoll(argv[1]);
    int endless = left == 0, fd = atoi(argv[2]);
    memset(block, 'x', sizeof block);
    for (size_t end = 63; end < sizeof block; end += 64)
        block[end] = '\n';
    while (endless || left > 0) {
        size_t size = endless || left > (long long)sizeof block ? sizeof block : (size_t)left;
        ssize_t written = write(fd, block, size);
        if (written < 0)
            return 1;
        left -= endless ? 0 : written;
    }
    return 0;
}
