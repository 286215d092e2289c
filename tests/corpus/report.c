/* report: the one program of the images `scratch` and `distroless`. It says what it was given, and ends as it is told.
 *
 *   report [STATUS]        one line for each thing that a workload is given, then exit status STATUS (0)
 *   report wait            the same, then "waiting"; ends with status 0 and "signal N" when USR1, TERM or INT comes
 *   report serve PORT      the same, then answers each TCP connection to PORT with "hello from report"
 *
 * Lines: "uid N", "gid N", "groups N...", "hostname NAME", "address INTERFACE IPV4", "directory PATH", "argument N TEXT", "variable NAME=VALUE", "pid N", and what becomes
 * of a process whose parent has died: "orphan adopted" when this is PID 1 and it can be waited for, "orphan reaped" when PID 1 has waited for it,
 * "orphan left" when it is still there after ten seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void say_who(int argc, char **argv) {
    gid_t groups[64];
    char directory[4096], hostname[256] = "";
    struct ifaddrs *addresses = NULL;
    int count = getgroups(64, groups);
    printf("pid %d\nuid %d\ngid %d\ngroups", (int)getpid(), (int)getuid(), (int)getgid());
    for (int at = 0; at < count; at++) printf(" %d", (int)groups[at]);
    gethostname(hostname, sizeof hostname - 1);
    printf("\nhostname %s\n", hostname);
    getifaddrs(&addresses);
    for (struct ifaddrs *each = addresses; each; each = each->ifa_next) {
        if (!each->ifa_addr || each->ifa_addr->sa_family != AF_INET) continue;
        printf("address %s %s\n", each->ifa_name, inet_ntoa(((struct sockaddr_in *)each->ifa_addr)->sin_addr));
    }
    printf("directory %s\n", getcwd(directory, sizeof directory) ? directory : strerror(errno));
    for (int at = 0; at < argc; at++) printf("argument %d %s\n", at, argv[at]);
    for (char **variable = environ; *variable; variable++) printf("variable %s\n", *variable);
}

/* A child leaves a child behind, which ends at once. Only PID 1 can wait for it then. */
static const char *orphan(void) {
    int pipes[2];
    pid_t left;
    if (pipe(pipes) != 0) return strerror(errno);
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) _exit(0);
        _exit(write(pipes[1], &grandchild, sizeof grandchild) != sizeof grandchild);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child) return strerror(errno);
    if (read(pipes[0], &left, sizeof left) != sizeof left || left < 0) return strerror(errno);
    if (getpid() == 1) return waitpid(left, NULL, 0) == left ? "adopted" : strerror(errno);
    for (int tries = 0; tries < 100; tries++) {
        /* A zombie can be signalled still; who has been waited for cannot. */
        if (kill(left, 0) != 0 && errno == ESRCH) return "reaped";
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return "left";
}

static int wait_for_signal(void) {
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    puts("waiting");
    fflush(stdout);
    if (sigwait(&set, &signal) != 0) return 1;
    printf("signal %d\n", signal);
    return 0;
}

static int serve(int port) {
    static const char answer[] = "hello from report\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 8) != 0) {
        perror("listen");
        return 1;
    }
    printf("serving %d\n", port);
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) return 1;
        if (write(connection, answer, sizeof answer - 1) < 0) perror("write");
        close(connection);
    }
}

int main(int argc, char **argv) {
    say_who(argc, argv);
    printf("orphan %s\n", orphan());
    fflush(stdout);
    fputs("this goes to standard error\n", stderr);
    if (argc > 2 && strcmp(argv[1], "serve") == 0) return serve(atoi(argv[2]));
    if (argc > 1 && strcmp(argv[1], "wait") == 0) return wait_for_signal();
    return argc > 1 ? atoi(argv[1]) : 0;
}
