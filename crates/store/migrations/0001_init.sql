-- Ids are UUIDv7 in sixteen bytes, times are microseconds since 1970, `data` is the JSON of the domain's type. Columns beside `data` exist
-- only where a statement searches or guards by them.

CREATE TABLE environments (
    id BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    data TEXT NOT NULL
);

-- The key of keyed hashes, sealed, and the version of the signing keys: every change of one of them raises it, so that they change
-- together, and nodes see by one number whether they know them as they are.
CREATE TABLE environment_keys (
    environment_id BYTEA NOT NULL PRIMARY KEY REFERENCES environments (id),
    mac BYTEA NOT NULL,
    version BIGINT NOT NULL
);

-- `since` is when the key came to its state; of a retired key, when it leaves it.
CREATE TABLE signing_keys (
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    id BYTEA NOT NULL,
    state TEXT NOT NULL,
    since BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (environment_id, id)
);
CREATE INDEX signing_keys_by_age ON signing_keys (state, since);

CREATE TABLE populations (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    is_default BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (environment_id, name)
);

-- The keys are UTF-8 in small letters. They are bytes, so that a prefix is a range on both engines, whatever the collation.
CREATE TABLE users (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    population_id BYTEA NOT NULL REFERENCES populations (id),
    username_key BYTEA NOT NULL,
    email_key BYTEA NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (environment_id, username_key)
);
CREATE INDEX users_by_environment ON users (environment_id, id);
CREATE INDEX users_by_population ON users (population_id, id);
CREATE INDEX users_by_email ON users (environment_id, email_key, id);

CREATE TABLE groups (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (environment_id, name)
);

CREATE TABLE memberships (
    user_id BYTEA NOT NULL REFERENCES users (id),
    group_id BYTEA NOT NULL REFERENCES groups (id),
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX memberships_by_group ON memberships (group_id, user_id);

CREATE TABLE passwords (
    user_id BYTEA NOT NULL PRIMARY KEY REFERENCES users (id),
    version BIGINT NOT NULL,
    data TEXT NOT NULL
);

-- Wrong passwords in a row. The subject is a keyed hash of the user name that was given, whether anybody has it or not, so that the two
-- are handled alike.
CREATE TABLE lockouts (
    environment_id BYTEA NOT NULL,
    subject BYTEA NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (environment_id, subject)
);
CREATE INDEX lockouts_by_expiry ON lockouts (expires_at);

CREATE TABLE applications (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    package_name TEXT,
    bundle_id TEXT,
    huawei_app_id TEXT,
    huawei_package_name TEXT,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (environment_id, name),
    UNIQUE (environment_id, package_name),
    UNIQUE (environment_id, bundle_id),
    UNIQUE (environment_id, huawei_app_id),
    UNIQUE (environment_id, huawei_package_name)
);

CREATE TABLE protected_resources (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    audience TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (environment_id, name),
    UNIQUE (environment_id, audience)
);

-- The names of the scopes in the data of protected resources, so that no two resources of an environment have the same one.
CREATE TABLE resource_scopes (
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    resource_id BYTEA NOT NULL,
    PRIMARY KEY (environment_id, name)
);
CREATE INDEX resource_scopes_by_resource ON resource_scopes (resource_id);

-- `holder_id` is a user or an application; `what` is the role and its scope, which nobody has twice.
CREATE TABLE role_assignments (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    holder_id BYTEA NOT NULL,
    what TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (holder_id, what)
);

CREATE TABLE mfa_settings (
    environment_id BYTEA NOT NULL PRIMARY KEY REFERENCES environments (id),
    version BIGINT NOT NULL,
    data TEXT NOT NULL
);

CREATE TABLE mfa_policies (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    is_default BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (environment_id, name)
);

CREATE TABLE sign_on_policies (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    name TEXT NOT NULL,
    is_default BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (environment_id, name)
);

CREATE TABLE sign_on_policy_assignments (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    application_id BYTEA NOT NULL REFERENCES applications (id),
    sign_on_policy_id BYTEA NOT NULL REFERENCES sign_on_policies (id),
    priority BIGINT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (application_id, sign_on_policy_id)
);
CREATE INDEX sign_on_policy_assignments_by_policy ON sign_on_policy_assignments (sign_on_policy_id);

-- One installation is paired at most once to one user.
CREATE TABLE devices (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    user_id BYTEA NOT NULL REFERENCES users (id),
    thumbprint BYTEA NOT NULL,
    application_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (user_id, thumbprint)
);
CREATE INDEX devices_by_application ON devices (application_id, id);
CREATE INDEX devices_by_installation ON devices (thumbprint, environment_id);

-- What a phone has last sent of the log of its app. Goes with its device, or when its time is over.
CREATE TABLE device_logs (
    device_id BYTEA NOT NULL PRIMARY KEY,
    log TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX device_logs_by_expiry ON device_logs (expires_at);

-- What users can be asked for beside phones. Their ids are among those of the devices.
CREATE TABLE authenticators (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    user_id BYTEA NOT NULL REFERENCES users (id),
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX authenticators_by_user ON authenticators (user_id, id);

-- Machines that end by themselves. Their ids are time-ordered, so a sweep reads only the old end of the table.
CREATE TABLE flows (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
-- All of a user must end when an administrator says so. A session begins with a proof by a person, so the index is no cost that counts.
CREATE TABLE sessions (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id, id) WHERE state = 'active';
CREATE TABLE pushed_requests (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE grants (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
-- Grants that live for weeks. Among the others they would hide what has ended behind them, and an index there would cost every sign-on.
CREATE TABLE lasting_grants (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX lasting_grants_by_expiry ON lasting_grants (expires_at);
-- Access tokens that count no longer although they have not expired. The expiry leads the key: it is signed, and the table grows and
-- shrinks at its ends.
CREATE TABLE revoked_tokens (
    expires_at BIGINT NOT NULL,
    token_id TEXT NOT NULL,
    environment_id BYTEA NOT NULL,
    PRIMARY KEY (expires_at, environment_id, token_id)
);
-- What the person types is kept as a keyed hash.
CREATE TABLE device_codes (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    user_code_hash BYTEA NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE TABLE pairing_tickets (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- What a person types is kept as a keyed hash. A key goes with its user.
CREATE TABLE pairing_keys (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    user_id BYTEA NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash BYTEA NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    valid_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pairing_keys_by_user ON pairing_keys (user_id, valid_until) WHERE state = 'unclaimed';
CREATE INDEX pairing_keys_of_user ON pairing_keys (user_id, id);

-- One question put to one device. A user is asked one visible question at a time by an application.
CREATE TABLE challenges (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    application_id BYTEA NOT NULL,
    thumbprint BYTEA NOT NULL,
    visible BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    answer_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX challenges_user_id_application_id_key ON challenges (user_id, application_id) WHERE state = 'pending' AND visible;
CREATE INDEX challenges_by_user ON challenges (user_id, id) WHERE state = 'pending';
CREATE INDEX challenges_by_installation ON challenges (thumbprint, id) WHERE state = 'pending';
CREATE INDEX challenges_by_deadline ON challenges (answer_until, id) WHERE state = 'pending';

-- What a phone reads off a screen is kept as a keyed hash.
CREATE TABLE authentication_codes (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL,
    code_hash BYTEA NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    data TEXT NOT NULL,
    answer_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX authentication_codes_by_deadline ON authentication_codes (answer_until, id) WHERE state = 'open';

-- Questions that a user has left without a yes lately, by application.
CREATE TABLE push_limits (
    user_id BYTEA NOT NULL,
    application_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, application_id)
);
CREATE INDEX push_limits_by_expiry ON push_limits (expires_at);

CREATE TABLE push_credentials (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    application_id BYTEA NOT NULL REFERENCES applications (id),
    service TEXT NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL,
    UNIQUE (application_id, service)
);

CREATE TABLE push_health (
    application_id BYTEA NOT NULL PRIMARY KEY REFERENCES applications (id),
    environment_id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL
);

-- How push services have answered, by the minute since 1970, which leads the key: the table grows and shrinks at its ends.
CREATE TABLE push_answers (
    minute BIGINT NOT NULL,
    application_id BYTEA NOT NULL,
    service TEXT NOT NULL,
    sends BIGINT NOT NULL,
    unregistered BIGINT NOT NULL,
    unpaired BIGINT NOT NULL,
    PRIMARY KEY (minute, application_id, service)
);

CREATE TABLE subscriptions (
    id BYTEA NOT NULL PRIMARY KEY,
    environment_id BYTEA NOT NULL REFERENCES environments (id),
    enabled BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX subscriptions_by_environment ON subscriptions (environment_id, id);

-- How far subscriptions were told of the audit log. Nodes change it all the time, so it is not beside what administrators set up.
CREATE TABLE subscription_deliveries (
    subscription_id BYTEA NOT NULL PRIMARY KEY REFERENCES subscriptions (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    data TEXT NOT NULL
);

-- What has changed that somebody on another node may wait for. Only the last seconds are read.
CREATE TABLE wakes (
    at BIGINT NOT NULL,
    id BYTEA NOT NULL,
    PRIMARY KEY (at, id)
);

-- Proofs that have counted, with the answer that they got. The expiry leads the key: it is signed, so a replay has the same, and the
-- table grows and shrinks at its ends. The key is kept with the answer, because an unpaired device is gone when it asks again.
CREATE TABLE spent_proofs (
    expires_at BIGINT NOT NULL,
    thumbprint BYTEA NOT NULL,
    jti BYTEA NOT NULL,
    environment_id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    answer TEXT,
    public_key BYTEA,
    PRIMARY KEY (expires_at, thumbprint, jti)
);

-- JWTs that count once and have counted: client assertions, login hints, DPoP proofs. The expiry leads the key, as it does above.
CREATE TABLE spent_jwts (
    expires_at BIGINT NOT NULL,
    environment_id BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (expires_at, environment_id, hash)
);

-- What must be sent after a commit. The due time leads the key; the end of a lease is a due time too.
CREATE TABLE outbox (
    due_at BIGINT NOT NULL,
    id BYTEA NOT NULL,
    attempts BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (due_at, id)
);

-- Written with what they tell. The id and the tenant of a record are in its key and not in `data`: most rows of a busy platform are here.
-- Only records that end the sign-on of a user name the user beside `data`, so that people find their own and no others are indexed.
CREATE TABLE audit_records (
    environment_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    sign_on_user_id BYTEA,
    data TEXT NOT NULL,
    PRIMARY KEY (environment_id, id)
);
CREATE INDEX audit_records_by_sign_on ON audit_records (sign_on_user_id, id) WHERE sign_on_user_id IS NOT NULL;

-- A hash chain over the records, added a while after them. The number keeps two nodes from sealing the same records differently.
CREATE TABLE audit_seals (
    environment_id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    through_id BYTEA NOT NULL,
    records BIGINT NOT NULL,
    sealed_at BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (environment_id, number)
);

-- The last seal of what the retention has removed: the chain goes on from here.
CREATE TABLE audit_bases (
    environment_id BYTEA NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    through_id BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    mac BYTEA NOT NULL
);
