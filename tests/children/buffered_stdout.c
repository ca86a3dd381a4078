/* Prints LINES short lines with printf and never flushes, then lives until stdin ends.
   Behind a pipe libc keeps them in its 4 KiB buffer: done, as it believes, and nobody sees a thing. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char ignored[4096];
    alarm(600);
    int lines = argc > 1 ? atoi(argv[1]) : 1;
    for (int number = 1; number <= lines; number++)
        printf("line %d\n", number);
    while (read(0, ignored, sizeof ignored) > 0)
        ;
    return 0;
}
