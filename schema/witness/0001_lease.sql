-- The witness: who has the lease of each cluster. One row a cluster, one function that may be called.
-- Kept by `baton witness`; `baton witness sql` prints it for a PostgreSQL of one's own, where the owner
-- of a database runs it once and gives the nodes a login that is a member of role baton_witness.
--
--   W1  The epoch of a row never falls. An epoch is a pair (number, holder), the holder by its bytes.
--   W2  A lease is granted only while nobody else has it. The clock is read after the row is locked:
--       now() is older than the wait for the lock, and would see the past.
--   W3  What was answered is on disk.
--   W4  A clock that went back by more than a second grants nothing: it does not know what ran out.
--   W5  A row that is older than what a node knows to have been granted here was restored: it grants
--       nothing to anybody until a person adopts it ('suspect').
--   W6  A note is taken from the holder while it has its lease, never in the place of a newer one, and not
--       once a later epoch was promised. A person makes the record anew, and not the note older.
--   W7  Who was removed from its cluster is told nothing and granted nothing. The holder says of a name which
--       generation is let in; that never falls, and a name that it does not name is let in: a list that
--       is old lets in who should not be, and keeps nobody out who should.
--   W8  What was released is not granted again, not to its own holder either.
--
-- SQLSTATEs: BW001 the clock went back, BW002 not durable, BW003 an epoch would fall, BW004 a cluster or
-- node that the certificate does not speak for, BW005 a wrong argument.
create schema witness;
revoke all on schema witness from public;

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'baton_witness') then
        create role baton_witness nologin;
    end if;
end
$$;
grant usage on schema witness to baton_witness;

create table witness.lease (
    cluster uuid primary key,
    epoch bigint not null check (epoch > 0), -- the highest ever granted
    holder text collate "C" not null check (holder ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    lease_ms integer not null check (lease_ms > 0), -- granted last
    expires timestamptz not null,
    released boolean not null, -- by its holder
    clean boolean not null, -- when this epoch was granted, the one before had been released
    clock timestamptz not null, -- the latest that was seen here
    suspect bigint check (suspect > 0), -- an epoch that was granted, and this row does not know of
    suspect_holder text collate "C",
    grant_serial bigint not null default 1, -- counts what was acquired
    promised bigint not null default 0, -- W6: no note of an earlier epoch than this
    promised_holder text collate "C" not null default '',
    number bigint not null default 0, -- of the note; 0: there was none yet
    note text not null default '' check (octet_length(note) <= 4096),
    check ((suspect is null) = (suspect_holder is null))
) with (fillfactor = 20); -- changed each second: the new version finds room in the same page

create table witness.barred (
    cluster uuid,
    node text collate "C" check (node ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    generation bigint not null check (generation > 1), -- the first that is let in
    primary key (cluster, node)
);

-- One row: does the certificate say which cluster and which node speaks? The witness of Baton says yes;
-- in a PostgreSQL of one's own the roles decide.
create table witness.access (
    one boolean primary key default true check (one),
    by_certificate boolean not null
);
insert into witness.access (by_certificate) values (false);

create function witness.keep_epoch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if (new.epoch, new.holder) < (old.epoch, old.holder) or new.cluster <> old.cluster then
        raise exception 'the epoch of cluster % would fall from %/% to %/%', old.cluster, old.epoch, old.holder,
            new.epoch, new.holder using errcode = 'BW003', constraint = 'arbiter_epoch';
    end if;
    return new;
end
$$;
create trigger keep_epoch before update on witness.lease for each row execute function witness.keep_epoch();

-- W3. A commit that is only in memory is no grant.
create function witness.check_durable() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if current_setting('fsync') <> 'on' or current_setting('synchronous_commit') = 'off'
            or current_setting('full_page_writes') <> 'on' then
        raise exception 'this PostgreSQL does not keep what it commits'
            using errcode = 'BW002', constraint = 'arbiter_not_durable',
                hint = 'set fsync, synchronous_commit and full_page_writes to on';
    end if;
end
$$;

-- The CAs of several clusters are trusted alike, so it is the name of the one who signed that counts, and
-- none of our CAs may sign another CA. 'node' NULL: any of the cluster. The second node of a name has
-- "NAME.2" in its certificate.
create function witness.check_caller(cluster uuid, node text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not (select by_certificate from witness.access) or session_user <> 'baton_witness' then
        return;
    end if;
    if witness.ssl_issuer_field('organizationName') is distinct from cluster::text
            or witness.ssl_client_dn_field('organizationName') is distinct from cluster::text then
        raise exception 'this certificate is not of cluster %', cluster
            using errcode = 'BW004', constraint = 'arbiter_denied';
    end if;
    if node is distinct from null
            and split_part(witness.ssl_client_dn_field('commonName'), '.', 1) is distinct from node then
        raise exception 'this certificate is not of node %', node
            using errcode = 'BW004', constraint = 'arbiter_denied';
    end if;
    if exists (select from witness.barred b where b.cluster = check_caller.cluster
            and b.node = split_part(witness.ssl_client_dn_field('commonName'), '.', 1)
            and b.generation > coalesce(nullif(split_part(witness.ssl_client_dn_field('commonName'), '.', 2), ''),
                '1')::bigint) then -- W7
        raise exception 'the node of this certificate, %, was removed from its cluster',
            witness.ssl_client_dn_field('commonName')
            using errcode = 'BW004', constraint = 'arbiter_denied', hint = 'join it again';
    end if;
end
$$;

create type witness.answer as (
    result text, -- granted, done, held, stale, expired, exists, empty, restored
    epoch bigint, -- this and what follows: the row as it is now; null without a row
    holder text,
    lease_ms integer,
    remaining_ms integer, -- rounded up; 0: expired or released
    released boolean,
    clean boolean,
    grant_serial bigint,
    promised bigint, -- 0: none
    promised_holder text,
    number bigint,
    note text
);

create function witness.as_answer(result text, l witness.lease, n timestamptz) returns witness.answer
language sql set search_path = pg_catalog, pg_temp as $$
    select row(result, l.epoch, l.holder, l.lease_ms,
        case when l.released then 0
            else least(greatest(ceil(extract(epoch from l.expires - n) * 1000), 0), 2147483647)::integer end,
        l.released, l.clean, l.grant_serial, l.promised, l.promised_holder, l.number, l.note)::witness.answer
$$;

-- A row and the time: W4, W5. 'result' is null when the row may be used.
create function witness.look(p_cluster uuid, p_op text, p_known bigint, p_known_holder text, p_adopt boolean,
    out l witness.lease, out n timestamptz, out result text)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if p_op = 'read' then
        select * into l from witness.lease where cluster = p_cluster;
    else
        select * into l from witness.lease where cluster = p_cluster for update;
    end if;
    n := clock_timestamp();
    if l.cluster is null then
        result := case p_op when 'create' then null else 'empty' end;
    elsif p_adopt then
        result := null;
    elsif p_op = 'create' then
        result := 'exists';
    elsif n < l.clock - interval '1 second' then
        raise exception 'the clock of the witness went back from % to %', l.clock, n
            using errcode = 'BW001', constraint = 'arbiter_clock',
                hint = 'it grants again when the clock has passed that time, or when the record is adopted';
    elsif (l.epoch, l.holder) < (p_known, p_known_holder collate "C") then
        update witness.lease set suspect = p_known, suspect_holder = p_known_holder
        where cluster = p_cluster and (suspect is null
            or (suspect, suspect_holder) < (p_known, p_known_holder collate "C"));
        result := 'restored';
    elsif l.suspect is not null then
        result := 'restored';
    end if;
end
$$;

create function witness.grant_lease(p_cluster uuid, p_epoch bigint, p_holder text, p_lease_ms integer,
    p_clean boolean, p_serial bigint, n timestamptz) returns witness.lease
language sql set search_path = pg_catalog, pg_temp as $$
    update witness.lease set epoch = p_epoch, holder = p_holder, lease_ms = p_lease_ms, grant_serial = p_serial,
        expires = n + p_lease_ms * interval '1 millisecond', released = false, clean = p_clean,
        clock = greatest(clock, n)
    where cluster = p_cluster
    returning *
$$;

-- By a person's word: the row is there, and the holder of its epoch has the lease. What it was before
-- counts only where its epoch is later, or its note (W6); the clock is believed anew.
create function witness.found(p_cluster uuid, p_epoch bigint, p_holder text, p_lease_ms integer, p_adopt boolean,
    p_number bigint, p_note text, n timestamptz) returns witness.lease
language sql set search_path = pg_catalog, pg_temp as $$
    insert into witness.lease as l (cluster, epoch, holder, lease_ms, expires, released, clean, clock, number, note)
    values (p_cluster, p_epoch, p_holder, p_lease_ms, n + p_lease_ms * interval '1 millisecond', false, true, n,
        p_number, p_note)
    on conflict (cluster) do update set
        epoch = case when (l.epoch, l.holder) < (excluded.epoch, excluded.holder) then excluded.epoch else l.epoch end,
        holder = case when (l.epoch, l.holder) < (excluded.epoch, excluded.holder) then excluded.holder
            else l.holder end,
        lease_ms = excluded.lease_ms, expires = excluded.expires, released = false, clean = true,
        clock = excluded.clock, suspect = null, suspect_holder = null, grant_serial = l.grant_serial + 1,
        promised = 0, promised_holder = '', number = greatest(l.number, excluded.number),
        note = case when l.number < excluded.number then excluded.note else l.note end
    where p_adopt -- else another was faster
    returning l.*
$$;

-- W7. The text is {"NODE": first generation that is let in, ...}.
create function witness.bar(p_cluster uuid, p_names text) returns void
language sql set search_path = pg_catalog, pg_temp as $$
    insert into witness.barred as b (cluster, node, generation)
    select p_cluster, key, value::bigint from jsonb_each_text(p_names::jsonb)
    on conflict (cluster, node) do update set generation = greatest(b.generation, excluded.generation)
$$;

-- All that a node may call. See controller/arbiter/arbiter.h for what each answer means.
create function witness.ask(p_op text, p_cluster uuid, p_epoch bigint, p_holder text, p_known bigint,
    p_known_holder text, p_lease_ms integer, p_adopt boolean, p_grant bigint default 0, p_number bigint default 0,
    p_note text default '') returns witness.answer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    looked record;
    l witness.lease;
    n timestamptz;
    adopt constant boolean := p_op = 'create' and coalesce(p_adopt, false);
    after integer; -- the epoch that is asked for, beside the row's: -1 earlier, 0 the same, 1 later
    alive boolean;
    ours boolean; -- of the grant that holds
begin
    if p_op is null or p_cluster is null
            or p_op not in ('create', 'read', 'acquire', 'renew', 'release', 'promise', 'note', 'bar')
            or p_op in ('create', 'note', 'bar') and (p_number is null or p_note is null)
            or p_op <> 'read' and (p_epoch is null or p_holder is null)
            or p_op in ('create', 'acquire', 'renew') and (p_lease_ms is null or p_lease_ms <= 0) then
        raise exception 'a call without sense: %', p_op using errcode = 'BW005', constraint = 'arbiter_call';
    end if;
    perform witness.check_caller(p_cluster, case when p_op not in ('create', 'read') then p_holder end);
    perform witness.check_durable();
    looked := witness.look(p_cluster, p_op, coalesce(p_known, 0), coalesce(p_known_holder, ''), adopt);
    l := looked.l;
    n := looked.n;
    if looked.result is not null then
        return witness.as_answer(looked.result, l, n);
    end if;
    after := case when (p_epoch, p_holder collate "C") > (l.epoch, l.holder) then 1
        when (p_epoch, p_holder collate "C") < (l.epoch, l.holder) then -1 else 0 end;
    alive := not l.released and n < l.expires;
    ours := coalesce(p_grant, 0) in (0, l.grant_serial);
    case p_op
    when 'read' then
        return witness.as_answer('done', l, n);
    when 'create' then
        l := witness.found(p_cluster, p_epoch, p_holder, p_lease_ms, adopt, p_number, p_note, n);
        if l.cluster is null then
            looked := witness.look(p_cluster, p_op, 0, '', false);
            return witness.as_answer(looked.result, looked.l, looked.n);
        end if;
        return witness.as_answer('done', l, n);
    when 'acquire' then
        if after < 0 then
            return witness.as_answer('stale', l, n);
        elsif after > 0 and alive then
            return witness.as_answer('held', l, n);
        elsif after = 0 and l.released then -- W8
            return witness.as_answer('expired', l, n);
        end if;
        return witness.as_answer('granted', witness.grant_lease(p_cluster, p_epoch, p_holder, p_lease_ms,
            case when after = 0 then l.clean else l.released end, l.grant_serial + 1, n), n);
    when 'renew' then
        if after < 0 then
            return witness.as_answer('stale', l, n);
        elsif after > 0 or not alive or not ours then
            return witness.as_answer('expired', l, n);
        end if;
        return witness.as_answer('granted', witness.grant_lease(p_cluster, p_epoch, p_holder, p_lease_ms, l.clean,
            l.grant_serial, n), n);
    when 'release' then
        if after <> 0 or not ours then
            return witness.as_answer(case when after < 0 then 'stale' else 'expired' end, l, n);
        end if;
        update witness.lease set released = true, expires = least(expires, n), clock = greatest(clock, n)
        where cluster = p_cluster returning * into l;
        return witness.as_answer('done', l, n);
    when 'promise' then
        if after <= 0 or (p_epoch, p_holder collate "C") < (l.promised, l.promised_holder) then
            return witness.as_answer('stale', l, n);
        end if;
        update witness.lease set promised = p_epoch, promised_holder = p_holder, clock = greatest(clock, n)
        where cluster = p_cluster returning * into l;
        return witness.as_answer('done', l, n);
    when 'note' then
        if after < 0 or after = 0 and (p_epoch, p_holder collate "C") < (l.promised, l.promised_holder) then
            return witness.as_answer('stale', l, n);
        elsif after > 0 or not alive or not ours or p_number < l.number
                or p_number = l.number and p_note <> l.note then
            return witness.as_answer('expired', l, n);
        end if;
        update witness.lease set number = p_number, note = p_note, clock = greatest(clock, n)
        where cluster = p_cluster returning * into l;
        return witness.as_answer('done', l, n);
    when 'bar' then
        if after <> 0 or not alive or not ours then
            return witness.as_answer(case when after < 0 then 'stale' else 'expired' end, l, n);
        end if;
        perform witness.bar(p_cluster, p_note);
        return witness.as_answer('done', l, n);
    end case;
end
$$;

revoke execute on all functions in schema witness from public;
grant execute on function witness.ask(text, uuid, bigint, text, bigint, text, integer, boolean, bigint, bigint, text)
    to baton_witness;
