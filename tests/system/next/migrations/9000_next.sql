-- What a later Baton could add: a column of the replicated table, so that rows of a node that has it do not fit
-- one that has not; and something of its own.
alter table shared.log add column next text default 'later';
create table local.next (made_by text not null default current_user);
insert into local.next default values;
