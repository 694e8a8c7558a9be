// PostgreSQL's JDBC driver.

import java.sql.*;
import java.util.*;

public class Jdbc {
    static final int USER = 42;
    static final UUID UUID_USER = UUID.fromString("00000000-0000-4000-8000-000000000042");
    static final String MARKER = "stands-in-the-text";
    static Connection conn;

    interface Call { Object run() throws SQLException; }

    static Connection connect(String port) throws SQLException {
        Map<String, String> env = System.getenv();
        return DriverManager.getConnection("jdbc:postgresql://" + env.get("PGHOST") + ":" + port + "/" + env.get("PGDATABASE"),
            env.get("PGUSER"), env.get("PGPASSWORD"));
    }

    static Object value(String sql, Object... parameters) throws SQLException {
        try (PreparedStatement statement = conn.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) statement.setObject(i + 1, parameters[i]);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getObject(1);
            }
        }
    }

    static Object valueAs(String user, String sql, Object... parameters) throws SQLException {
        conn.setAutoCommit(false);
        try {
            value("SELECT set_config('key_vault.user_id', ?, true)", user);
            Object found = value(sql, parameters);
            conn.commit();
            return found;
        } catch (SQLException error) {
            conn.rollback();
            throw error;
        } finally {
            conn.setAutoCommit(true);
        }
    }

    static String errorOf(Call call) {
        try {
            call.run();
        } catch (SQLException error) {
            return (error.getSQLState() == null ? "-" : error.getSQLState()) + " " + error.getClass().getSimpleName();
        }
        return "no error";
    }

    static String howToPass(Object user) {
        Object[][] ways = {{"as it is", "?", user}, {"with ::text", "?::text", user}, {"as a string", "?", user.toString()}};
        for (Object[] way : ways) {
            try {
                if (("key-of-" + user).equals(value("SELECT key_vault.get(" + way[1] + ", 'gemini')", way[2]))) return (String) way[0];
            } catch (SQLException error) {
                // the next way, then
            }
        }
        return "not at all";
    }

    static void check(boolean holds, String what) {
        if (!holds) throw new IllegalStateException(what);
    }

    public static void main(String[] arguments) throws SQLException {
        conn = connect(System.getenv("PGPORT"));
        String text = (String) value("SELECT current_query() FROM (SELECT ?::text) AS q", MARKER);
        System.out.println("parameters: " + (text.contains(MARKER) ? "text" : "bound"));
        System.out.println("identity: conn.setAutoCommit(false)");
        check(("key-of-" + USER).equals(valueAs("" + USER, "SELECT key_vault.get(NULL, ?)", "gemini")), "not the user's key");
        Object left = value("SELECT current_setting('key_vault.user_id', true)");
        check(left == null || left.equals(""), "the identity outlives its transaction");
        System.out.println("integer: " + howToPass(USER));
        System.out.println("uuid: " + howToPass(UUID_USER));
        System.out.println("jsonb: " + valueAs("" + USER, "SELECT key_vault.get_all(NULL)").getClass().getSimpleName());
        System.out.println("get: " + valueAs("nobody", "SELECT key_vault.get(NULL, ?)", "gemini"));
        System.out.println("require: " + errorOf(() -> valueAs("nobody", "SELECT key_vault.require(NULL, ?)", "gemini")));
        System.out.println("refused: " + errorOf(() -> valueAs("nobody", "SELECT key_vault.get(?, 'gemini')", "" + USER)));
        System.out.println("stopped: " + errorOf(() -> value("SELECT pg_terminate_backend(pg_backend_pid())")));
        System.out.println("unreachable: " + errorOf(() -> connect("1")));
    }
}
