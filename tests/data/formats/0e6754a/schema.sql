BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                CREATE ROLE agentvoicebox_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
            END IF;
            GRANT agentvoicebox_app TO CURRENT_USER; -- who made a role may not yet become it
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was faster
            WHEN insufficient_privilege THEN NULL; -- an owner who may make no roles works as itself; the policies hold for it
        END $$;

CREATE TABLE sessions (
        tenant_id   text        NOT NULL,
        session_id  text        NOT NULL,
        opened_at   timestamptz,
        closed_at   timestamptz,
        opened      jsonb       NOT NULL DEFAULT '{}',
        closed      jsonb       NOT NULL DEFAULT '{}',
        PRIMARY KEY (tenant_id, session_id)
    ) PARTITION BY HASH (tenant_id);

CREATE TABLE sessions_0 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 0);

ALTER TABLE sessions_0 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_0 FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions_1 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 1);

ALTER TABLE sessions_1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_1 FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions_2 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 2);

ALTER TABLE sessions_2 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_2 FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions_3 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 3);

ALTER TABLE sessions_3 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_3 FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions_4 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 4);

ALTER TABLE sessions_4 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_4 FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions_5 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 5);

ALTER TABLE sessions_5 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_5 FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions_6 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 6);

ALTER TABLE sessions_6 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_6 FORCE ROW LEVEL SECURITY;

CREATE TABLE sessions_7 PARTITION OF sessions FOR VALUES WITH (MODULUS 8, REMAINDER 7);

ALTER TABLE sessions_7 ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions_7 FORCE ROW LEVEL SECURITY;

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions FORCE ROW LEVEL SECURITY;

CREATE POLICY sessions_of_one_tenant ON sessions USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE ON sessions TO agentvoicebox_app;
                END IF;
            END $$;

CREATE TABLE conversation_items (
        tenant_id   text        NOT NULL,
        session_id  text        NOT NULL,
        item_id     text        NOT NULL,
        position    bigint      NOT NULL,
        revision    bigint      NOT NULL,
        body        jsonb       NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        deleted_at  timestamptz,
        PRIMARY KEY (tenant_id, session_id, item_id)
    ) PARTITION BY HASH (tenant_id);

CREATE TABLE conversation_items_0 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 0);

ALTER TABLE conversation_items_0 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_0 FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_items_1 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 1);

ALTER TABLE conversation_items_1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_1 FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_items_2 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 2);

ALTER TABLE conversation_items_2 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_2 FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_items_3 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 3);

ALTER TABLE conversation_items_3 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_3 FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_items_4 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 4);

ALTER TABLE conversation_items_4 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_4 FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_items_5 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 5);

ALTER TABLE conversation_items_5 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_5 FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_items_6 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 6);

ALTER TABLE conversation_items_6 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_6 FORCE ROW LEVEL SECURITY;

CREATE TABLE conversation_items_7 PARTITION OF conversation_items FOR VALUES WITH (MODULUS 8, REMAINDER 7);

ALTER TABLE conversation_items_7 ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items_7 FORCE ROW LEVEL SECURITY;

ALTER TABLE conversation_items ENABLE ROW LEVEL SECURITY;

ALTER TABLE conversation_items FORCE ROW LEVEL SECURITY;

CREATE POLICY conversation_items_of_one_tenant ON conversation_items USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE ON conversation_items TO agentvoicebox_app;
                END IF;
            END $$;

CREATE TABLE responses (
        tenant_id   text        NOT NULL,
        session_id  text        NOT NULL,
        response_id text        NOT NULL,
        revision    bigint      NOT NULL,
        body        jsonb       NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, session_id, response_id)
    ) PARTITION BY HASH (tenant_id);

CREATE TABLE responses_0 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 0);

ALTER TABLE responses_0 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_0 FORCE ROW LEVEL SECURITY;

CREATE TABLE responses_1 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 1);

ALTER TABLE responses_1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_1 FORCE ROW LEVEL SECURITY;

CREATE TABLE responses_2 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 2);

ALTER TABLE responses_2 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_2 FORCE ROW LEVEL SECURITY;

CREATE TABLE responses_3 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 3);

ALTER TABLE responses_3 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_3 FORCE ROW LEVEL SECURITY;

CREATE TABLE responses_4 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 4);

ALTER TABLE responses_4 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_4 FORCE ROW LEVEL SECURITY;

CREATE TABLE responses_5 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 5);

ALTER TABLE responses_5 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_5 FORCE ROW LEVEL SECURITY;

CREATE TABLE responses_6 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 6);

ALTER TABLE responses_6 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_6 FORCE ROW LEVEL SECURITY;

CREATE TABLE responses_7 PARTITION OF responses FOR VALUES WITH (MODULUS 8, REMAINDER 7);

ALTER TABLE responses_7 ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses_7 FORCE ROW LEVEL SECURITY;

ALTER TABLE responses ENABLE ROW LEVEL SECURITY;

ALTER TABLE responses FORCE ROW LEVEL SECURITY;

CREATE POLICY responses_of_one_tenant ON responses USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE ON responses TO agentvoicebox_app;
                END IF;
            END $$;

CREATE TABLE audit_logs (
        tenant_id   text        NOT NULL,
        audit_id    text        NOT NULL,
        at          timestamptz NOT NULL DEFAULT now(),
        actor       text        NOT NULL,
        action      text        NOT NULL,
        subject     text        NOT NULL,
        trace_id    text        NOT NULL DEFAULT '',
        body        jsonb       NOT NULL DEFAULT '{}',
        PRIMARY KEY (tenant_id, audit_id)
    ) PARTITION BY HASH (tenant_id);

CREATE TABLE audit_logs_0 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 0);

ALTER TABLE audit_logs_0 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_0 FORCE ROW LEVEL SECURITY;

CREATE TABLE audit_logs_1 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 1);

ALTER TABLE audit_logs_1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_1 FORCE ROW LEVEL SECURITY;

CREATE TABLE audit_logs_2 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 2);

ALTER TABLE audit_logs_2 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_2 FORCE ROW LEVEL SECURITY;

CREATE TABLE audit_logs_3 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 3);

ALTER TABLE audit_logs_3 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_3 FORCE ROW LEVEL SECURITY;

CREATE TABLE audit_logs_4 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 4);

ALTER TABLE audit_logs_4 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_4 FORCE ROW LEVEL SECURITY;

CREATE TABLE audit_logs_5 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 5);

ALTER TABLE audit_logs_5 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_5 FORCE ROW LEVEL SECURITY;

CREATE TABLE audit_logs_6 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 6);

ALTER TABLE audit_logs_6 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_6 FORCE ROW LEVEL SECURITY;

CREATE TABLE audit_logs_7 PARTITION OF audit_logs FOR VALUES WITH (MODULUS 8, REMAINDER 7);

ALTER TABLE audit_logs_7 ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs_7 FORCE ROW LEVEL SECURITY;

ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_logs FORCE ROW LEVEL SECURITY;

CREATE POLICY audit_logs_of_one_tenant ON audit_logs USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT ON audit_logs TO agentvoicebox_app;
                END IF;
            END $$;

CREATE TABLE shipments (
        tenant_id        text        NOT NULL,
        tracking_id_norm text        NOT NULL,
        status           text        NOT NULL,
        carrier          text,
        eta              date,
        event_status     text,
        event_at         timestamptz,
        event_location   text,
        updated_at       timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, tracking_id_norm)
    ) PARTITION BY HASH (tenant_id);

CREATE TABLE shipments_0 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 0);

ALTER TABLE shipments_0 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_0 FORCE ROW LEVEL SECURITY;

CREATE TABLE shipments_1 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 1);

ALTER TABLE shipments_1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_1 FORCE ROW LEVEL SECURITY;

CREATE TABLE shipments_2 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 2);

ALTER TABLE shipments_2 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_2 FORCE ROW LEVEL SECURITY;

CREATE TABLE shipments_3 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 3);

ALTER TABLE shipments_3 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_3 FORCE ROW LEVEL SECURITY;

CREATE TABLE shipments_4 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 4);

ALTER TABLE shipments_4 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_4 FORCE ROW LEVEL SECURITY;

CREATE TABLE shipments_5 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 5);

ALTER TABLE shipments_5 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_5 FORCE ROW LEVEL SECURITY;

CREATE TABLE shipments_6 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 6);

ALTER TABLE shipments_6 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_6 FORCE ROW LEVEL SECURITY;

CREATE TABLE shipments_7 PARTITION OF shipments FOR VALUES WITH (MODULUS 8, REMAINDER 7);

ALTER TABLE shipments_7 ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments_7 FORCE ROW LEVEL SECURITY;

ALTER TABLE shipments ENABLE ROW LEVEL SECURITY;

ALTER TABLE shipments FORCE ROW LEVEL SECURITY;

CREATE POLICY shipments_of_one_tenant ON shipments USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE, DELETE ON shipments TO agentvoicebox_app;
                END IF;
            END $$;

CREATE INDEX conversation_items_latest ON conversation_items (tenant_id, session_id, position DESC) INCLUDE (item_id, deleted_at);

CREATE INDEX audit_logs_latest ON audit_logs (tenant_id, at DESC) INCLUDE (audit_id);

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;

-- Running upgrade 0001 -> 0002

ALTER TABLE shipments ADD COLUMN tracking_id_ending text GENERATED ALWAYS AS (right(regexp_replace(tracking_id_norm, '[^0-9]', '', 'g'), 4)) STORED;

CREATE INDEX shipments_ending ON shipments (tenant_id, tracking_id_ending);

CREATE INDEX shipments_beginning ON shipments (tenant_id, tracking_id_norm COLLATE "C");

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE TABLE tenants (
        tenant_id    text        PRIMARY KEY CHECK (tenant_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
        name         text        NOT NULL DEFAULT '',
        limits       jsonb       NOT NULL DEFAULT '{}',
        created_at   timestamptz NOT NULL DEFAULT now(),
        suspended_at timestamptz
    );

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;

ALTER TABLE tenants FORCE ROW LEVEL SECURITY;

CREATE POLICY tenants_of_one_tenant ON tenants USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE ON tenants TO agentvoicebox_app;
                END IF;
            END $$;

CREATE TABLE projects (
        tenant_id  text        NOT NULL REFERENCES tenants,
        project_id text        NOT NULL CHECK (project_id ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, project_id)
    );

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;

ALTER TABLE projects FORCE ROW LEVEL SECURITY;

CREATE POLICY projects_of_one_tenant ON projects USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE ON projects TO agentvoicebox_app;
                END IF;
            END $$;

CREATE TABLE api_keys (
        prefix      text        PRIMARY KEY CHECK (prefix ~ '^[0-9a-f]{12}$'),
        tenant_id   text        NOT NULL REFERENCES tenants,
        project_id  text,
        name        text        NOT NULL DEFAULT '',
        secret_hash text        NOT NULL,
        scopes      text[]      NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        expires_at  timestamptz,
        revoked_at  timestamptz,
        rotated_to  text,
        FOREIGN KEY (tenant_id, project_id) REFERENCES projects
    );

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;

CREATE POLICY api_keys_of_one_tenant ON api_keys USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                    GRANT SELECT, INSERT, UPDATE ON api_keys TO agentvoicebox_app;
                END IF;
            END $$;

CREATE POLICY api_keys_by_prefix ON api_keys FOR SELECT USING (prefix = current_setting('agentvoicebox.key_prefix', true));

CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, created_at);

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

ALTER TABLE sessions ALTER COLUMN opened_at TYPE timestamptz USING coalesce(opened_at, closed_at, now()), ALTER COLUMN opened_at SET NOT NULL, ADD COLUMN last_at timestamptz NOT NULL DEFAULT now();

CREATE INDEX sessions_newest ON sessions (tenant_id, opened_at DESC, session_id DESC);

CREATE INDEX sessions_over ON sessions (tenant_id, last_at) INCLUDE (session_id);

ALTER TABLE tenants ADD COLUMN history jsonb NOT NULL DEFAULT '{}';

CREATE POLICY tenants_listed ON tenants FOR SELECT USING (current_setting('agentvoicebox.lists_tenants', true) = 'yes');

CREATE TABLE usage_entries (
    tenant_id     text        NOT NULL,
    session_id    text        NOT NULL,
    record_id     text        NOT NULL,
    began_at      timestamptz NOT NULL,
    ended_at      timestamptz NOT NULL,
    audio_in_ms   bigint      NOT NULL DEFAULT 0,
    audio_out_ms  bigint      NOT NULL DEFAULT 0,
    input_tokens  bigint      NOT NULL DEFAULT 0,
    output_tokens bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, session_id, record_id)
) PARTITION BY HASH (tenant_id);

CREATE TABLE usage_entries_0 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 0);

CREATE TABLE usage_entries_1 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 1);

CREATE TABLE usage_entries_2 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 2);

CREATE TABLE usage_entries_3 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 3);

CREATE TABLE usage_entries_4 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 4);

CREATE TABLE usage_entries_5 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 5);

CREATE TABLE usage_entries_6 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 6);

CREATE TABLE usage_entries_7 PARTITION OF usage_entries FOR VALUES WITH (MODULUS 8, REMAINDER 7);

ALTER TABLE usage_entries ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_0 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_0 FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_1 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_1 FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_2 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_2 FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_3 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_3 FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_4 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_4 FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_5 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_5 FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_6 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_6 FORCE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_7 ENABLE ROW LEVEL SECURITY;

ALTER TABLE usage_entries_7 FORCE ROW LEVEL SECURITY;

CREATE POLICY usage_entries_of_one_tenant ON usage_entries USING (tenant_id = current_setting('agentvoicebox.tenant_id', true)) WITH CHECK (tenant_id = current_setting('agentvoicebox.tenant_id', true));

CREATE INDEX usage_entries_by_day ON usage_entries (tenant_id, began_at) INCLUDE (session_id, record_id, ended_at, audio_in_ms, audio_out_ms, input_tokens, output_tokens);

DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_app') THEN
                GRANT SELECT, INSERT, UPDATE ON usage_entries TO agentvoicebox_app;
            END IF;
        END $$;

DO $$ BEGIN
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_janitor') THEN
                    CREATE ROLE agentvoicebox_janitor NOLOGIN NOSUPERUSER NOBYPASSRLS;
                END IF;
                GRANT agentvoicebox_janitor TO CURRENT_USER;
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server was faster
                WHEN insufficient_privilege THEN NULL; -- then the owner sweeps as itself; the policies hold for it
            END;
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'agentvoicebox_janitor') THEN
                GRANT SELECT ON tenants TO agentvoicebox_janitor;
                GRANT SELECT, DELETE ON sessions, conversation_items, responses, audit_logs, usage_entries TO agentvoicebox_janitor;
            END IF;
        END $$;

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

COMMIT;


