-- $1 CA, $2 certificates, $3 key, as PEM. Columns: changed. 38000 and 58P01: the server cannot write to its
-- own data directory, or has no shell.
select local.tls_install($1, $2, $3) as changed
