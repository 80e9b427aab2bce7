<?php
// What the pages know: which server this is, the database and the cache. The farm puts where those are, and with
// what password, into the environment.

function env(string $name, string $default = ''): string
{
    $value = getenv($name);
    if ($value === false) {
        $value = $_SERVER[$name] ?? $default;
    }
    return (string) $value;
}

/** The name of the instance, such as web-2. */
function server(): string
{
    return env('FARMHAND_INSTANCE') ?: (gethostname() ?: 'a server');
}

/**
 * The database, or null and why there is none. Asked once for each request, and waits two seconds at
 * most: a page that says what is missing is better than one that never comes.
 * @return array{0: ?PDO, 1: string}
 */
function database(): array
{
    static $answer = null;
    if ($answer !== null) {
        return $answer;
    }
    if (env('DB_HOST') === '') {
        return $answer = [null, 'none is serving yet'];
    }
    try {
        $dsn = sprintf('mysql:host=%s;port=%d;dbname=%s;charset=utf8mb4', env('DB_HOST'), (int) env('DB_PORT', '3306'), env('DB_NAME', 'app'));
        $db = new PDO($dsn, env('DB_USER', 'app'), env('DB_PASSWORD'), [PDO::ATTR_TIMEOUT => 2, PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
        return $answer = [$db, ''];
    } catch (Throwable $e) {
        return $answer = [null, $e->getMessage()];
    }
}

/** Runs $do, and once more after making the table if that is what it missed: the first order finds an empty database. */
function with_table(PDO $db, callable $do): mixed
{
    try {
        return $do();
    } catch (PDOException $e) {
        if ($e->getCode() !== '42S02') {
            throw $e;
        }
    }
    $db->exec('CREATE TABLE IF NOT EXISTS orders (
        id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
        customer VARCHAR(60) NOT NULL,
        item VARCHAR(60) NOT NULL,
        taken_by VARCHAR(60) NOT NULL,
        taken_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    )');
    return $do();
}

/** The cache, or null where none is reachable: all works without it, only slower. */
function cache(): ?Memcached
{
    static $cache = false;
    if ($cache !== false) {
        return $cache;
    }
    $servers = array_filter(explode(',', env('MEMCACHED_SERVERS')));
    if (!$servers || !class_exists('Memcached')) {
        return $cache = null;
    }
    $cache = new Memcached();
    $cache->setOption(Memcached::OPT_CONNECT_TIMEOUT, 200);
    $cache->setOption(Memcached::OPT_DISTRIBUTION, Memcached::DISTRIBUTION_CONSISTENT);
    foreach ($servers as $one) {
        [$host, $port] = explode(':', trim($one)) + [1 => '11211'];
        $cache->addServer($host, (int) $port);
    }
    return $cache;
}

/**
 * Orders by server, most first, kept in the cache for ten seconds.
 * @return array{0: array<string, int>, 1: string} the counts and where they came from
 */
function counts(PDO $db): array
{
    $cached = cache()?->get('counts');
    if (is_array($cached)) {
        return [$cached, 'memcached'];
    }
    $ask = fn () => $db->query('SELECT taken_by, COUNT(*) FROM orders GROUP BY taken_by ORDER BY 2 DESC')->fetchAll(PDO::FETCH_KEY_PAIR);
    $counts = with_table($db, $ask);
    $kept = cache()?->set('counts', $counts, 10);
    return [$counts, $kept ? 'the database, now cached' : 'the database: no cache is reachable'];
}

/** @return list<array<string, string>> the last orders, newest first */
function orders(PDO $db): array
{
    $ask = fn () => $db->query('SELECT id, customer, item, taken_by, taken_at FROM orders ORDER BY id DESC LIMIT 12')->fetchAll(PDO::FETCH_ASSOC);
    return with_table($db, $ask);
}

function take_order(PDO $db, string $customer, string $item): void
{
    $sql = 'INSERT INTO orders (customer, item, taken_by) VALUES (?, ?, ?)';
    with_table($db, fn () => $db->prepare($sql)->execute([$customer, $item, server()]));
    cache()?->delete('counts');
}
