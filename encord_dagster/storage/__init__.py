"""Object stores: S3, a local folder and memory behind one protocol. The only package that touches a bucket."""
