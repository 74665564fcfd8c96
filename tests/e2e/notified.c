/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A service manager's ear: prints what is sent to a NOTIFY_SOCKET, one datagram after the other.
 *
 *	notified PATH
 *
 * Makes the socket, says "listening", and runs until killed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[4096];
	ssize_t size;

	if (argc != 2 || strlen(argv[1]) >= sizeof(addr.sun_path))
		return 2;
	strcpy(addr.sun_path, argv[1]);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror("notified");
		return 1;
	}
	puts("listening");
	fflush(stdout);
	while ((size = recv(fd, text, sizeof(text), 0)) > 0) {
		printf("%.*s\n", (int)size, text);
		fflush(stdout);
	}
	return 0;
}
