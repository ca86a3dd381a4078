/* Writes COUNT bytes to descriptor FD, each with a system call of its own; each 100th is a newline.
   In C, because Python would be the slower half of the test. */
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 3)
        return 64;
    alarm(600);
    long count = atol(argv[1]);
    int fd = atoi(argv[2]);
    for (long done = 1; done <= count; done++)
        if (write(fd, done % 100 ? "." : "\n", 1) != 1)
            return 1;
    return 0;
}
