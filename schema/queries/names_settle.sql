-- No columns of use. Makes a checkpoint: the caller of a reload knows then that COMMITs heed the names.
select local.names_settle()
